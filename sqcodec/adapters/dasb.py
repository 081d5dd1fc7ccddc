"""DASB (speechbrain/benchmarks): a tokenizer for `codec: !new:sqcodec.adapters.dasb.SqvaeTokenizer` in its YAML."""

from typing import TYPE_CHECKING

from model.tokenizer_interface import BaseTokenizer

import sqcodec
from sqcodec.adapters.batches import decode_batch, encode_batch

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class SqvaeTokenizer(BaseTokenizer):
    """A codec as a tokenizer. B: items, T: samples at `sample_rate`, N: frames, K: codebooks, C: codewords, H: their
    dimension.

    model: as `sqcodec.load` takes it.
    """

    def __init__(self, model: str | None = None, device: str = "auto") -> None:
        self.codec = sqcodec.load(model, device=device)
        self.sample_rate = self.codec.sample_rate

    def sig_to_tokens(self, signal: "Tensor", lengths: "Tensor | None", num_codebooks: int | None = None) -> "Tensor":
        """signal [B, T], lengths [B] relative to T -> tokens [B, N, K], 0 behind the end of a signal."""
        return encode_batch(self.codec, signal, lengths, num_codebooks).mT

    def tokens_to_sig(self, tokens: "Tensor") -> "Tensor":
        """Tokens [B, N, K] -> signal [B, T]."""
        return decode_batch(self.codec, tokens.mT, None)

    def get_pretrained_embeddings(
        self, vocab_size: int | None = None, num_codebooks: int | None = None, device: "torch.device | str" = "cpu"
    ) -> "Tensor":
        """The codewords [C K, H], codebook after codebook. Raises ValueError: not `vocab_size` codewords each."""
        import torch

        words = torch.from_numpy(self.codec.embeddings()[:num_codebooks]).to(device)
        if vocab_size not in (None, words.shape[1]):
            raise ValueError(f"got vocab_size {vocab_size}, expected {words.shape[1]}, the codewords of {self.codec}")
        return words.flatten(0, 1)
