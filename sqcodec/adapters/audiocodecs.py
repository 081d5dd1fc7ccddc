"""audiocodecs (lucadellalib/audiocodecs): `SqvaeCodec` is one of its codecs."""

from typing import TYPE_CHECKING, Literal

from audiocodecs.codec import Codec

import sqcodec
from sqcodec.adapters.batches import codeword_sums, decode_batch, encode_batch, latents_batch

if TYPE_CHECKING:
    from torch import Tensor


class SqvaeCodec(Codec):
    """A codec. B: items, T: samples, N: frames, K: codebooks, C: codewords, H: their dimension.

    sample_rate: Hz of the caller's signals, which the base class resamples. model: as `sqcodec.load` takes it.
    num_codebooks: None: the model's default.
    """

    def __init__(
        self,
        sample_rate: int,
        mode: Literal["encode", "decode", "reconstruct"] = "reconstruct",
        num_codebooks: int | None = None,
        model: str | None = None,
        device: str = "auto",
    ) -> None:
        codec = sqcodec.load(model, device=device)
        super().__init__(sample_rate, codec.sample_rate, mode)
        self.codec = codec
        self.num_codebooks = codec.codebooks_for(codebooks=num_codebooks, bit_rate=None)

    def embs(self) -> "Tensor":
        """The codewords [K, C, H]; what is decoded is the sum over the codebooks."""
        import torch

        return torch.from_numpy(self.codec.embeddings()[: self.num_codebooks])

    def _sig_to_toks(self, sig: "Tensor", length: "Tensor") -> "Tensor":
        return encode_batch(self.codec, sig, length, self.num_codebooks).mT  # [B, N, K]

    def _sig_to_feats(self, sig: "Tensor", length: "Tensor") -> "Tensor":
        return latents_batch(self.codec, sig, length).mT  # [B, N, H]

    def _sig_to_qfeats(self, sig: "Tensor", length: "Tensor") -> "Tensor":
        return self._toks_to_qfeats(self._sig_to_toks(sig, length), length)  # [B, N, H]

    def _toks_to_qfeats(self, toks: "Tensor", length: "Tensor") -> "Tensor":
        return codeword_sums(self.codec, toks.mT).mT  # [B, N, H]

    def _toks_to_sig(self, toks: "Tensor", length: "Tensor") -> "Tensor":
        return decode_batch(self.codec, toks.mT, length)  # [B, T]

    def _feats_to_sig(self, feats: "Tensor", length: "Tensor") -> "Tensor":
        codes = self.codec.model.quantizer.encode(feats.to(self.codec.device), self.num_codebooks)  # [B, K, N]
        return decode_batch(self.codec, codes.to(feats.device), length)  # [B, T]
