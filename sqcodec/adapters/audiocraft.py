"""audiocraft (facebookresearch/audiocraft): a `CompressionModel`, the tokenizer of its language models."""

from typing import TYPE_CHECKING, NoReturn

from audiocraft.models.encodec import CompressionModel

import sqcodec
from sqcodec.adapters.batches import codeword_sums, decode_batch, encode_batch
from sqcodec.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


class SqvaeCompressionModel(CompressionModel):
    """A codec. B: items, T: samples at `sample_rate`, K: codebooks in use, N: frames, H: dimension of the codewords.

    model: as `sqcodec.load` takes it. Raises ModelError: its codes hold no level; a language model has no `scale`.
    """

    channels = 1
    frame_rate, sample_rate, cardinality, num_codebooks, total_codebooks = 0.0, 0, 0, 0, 0  # over abstract properties

    def __init__(self, model: str | None = None, device: str = "auto") -> None:
        super().__init__()
        self.codec = sqcodec.load(model, device=device)
        if self.codec.features.dynamic_range is not None:
            raise ModelError(f"{self.codec.path}: codes of {self.codec.features.kind} hold no level; use log-mel")
        self.frame_rate, self.sample_rate = self.codec.frame_rate, self.codec.sample_rate
        self.total_codebooks, self.cardinality = self.codec.codebooks, self.codec.header.codewords[0]
        self.num_codebooks = self.codec.codebooks_for(codebooks=None, bit_rate=None)

    def set_num_codebooks(self, n: int) -> None:
        """Use the first n codebooks."""
        self.num_codebooks = self.codec.codebooks_for(codebooks=n, bit_rate=None)

    def encode(self, x: "Tensor") -> "tuple[Tensor, None]":
        """x [B, 1, T] -> codes [B, K, N], and no scale."""
        return encode_batch(self.codec, x[:, 0], None, self.num_codebooks), None

    def decode(self, codes: "Tensor", scale: None = None) -> "Tensor":
        """Codes [B, K, N] -> sound [B, 1, T]."""
        return decode_batch(self.codec, codes, None)[:, None]

    def decode_latent(self, codes: "Tensor") -> "Tensor":
        """Codes [B, K, N] -> sums of their codewords [B, H, N]."""
        return codeword_sums(self.codec, codes)

    def forward(self, x: "Tensor") -> NoReturn:
        """Not for training. Raises ModelError."""
        raise ModelError("a codec of sqcodec is trained by 'sqcodec train', not within audiocraft")
