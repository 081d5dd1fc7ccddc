"""Stochastic quantisation: a latent is coded by a random codeword; the variance sets the probabilities.

SQ-VAE, Takida et al., ICML 2022, arXiv 2205.07547. The variance is learned, so quantisation starts soft and anneals
itself. Everything here runs in float32, whatever autocast or TF32 say.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from sqcodec import ranks
from sqcodec.quantizers.quantizer import Measured, Quantized, Quantizer, summed


class Latents(NamedTuple):
    """z: [N, D]; precision, the inverse variance or concentration: [N, D], [N, 1] or [1, 1]; log_var: its mean."""

    z: Tensor
    precision: Tensor
    log_var: Tensor


def gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """A soft sample [N, V] of softmax(logits [N, V]); Gumbel noise in float32 from a clamped exponential."""
    return torch.softmax((logits + _gumbel(logits, generator)) / temperature, dim=-1)


def gumbel_max(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """Codes [N], each drawn from softmax(logits [N, V])."""
    return (logits + _gumbel(logits, generator)).argmax(-1)


def _gumbel(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    drawn = logits.new_empty(ranks.count() * len(logits), logits.shape[1]).exponential_(generator=generator)
    return -ranks.own_rows(drawn).clamp_min(torch.finfo(torch.float32).tiny).log()


class StochasticQuantizer(Quantizer):
    """What Gaussian and von Mises-Fisher SQ share: posterior, entropy, samples."""

    @abstractmethod
    def latents(self, encoded: Tensor, valid: Tensor | None) -> Latents:
        """Encoder output [B, T, channels] -> latents, one per frame, and their precision."""

    @abstractmethod
    def logits(self, z: Tensor, precision: Tensor) -> Tensor:
        """Log-probabilities [N, V] of the codewords, up to a constant per row."""

    @abstractmethod
    def quadratic(self, latents: Latents, z_q: Tensor) -> Tensor:
        """The regulariser R of eq. 8 [N]: the cost of replacing z by z_q [N, D]."""

    def forward(
        self,
        encoded: Tensor,
        temperature: float,
        generator: torch.Generator | None = None,
        *,
        valid: Tensor | None = None,
    ) -> Quantized:
        """A soft sample in training, the nearest codeword otherwise."""
        with torch.autocast(encoded.device.type, enabled=False):
            latents, logits = self._posterior(encoded, valid)
            codes, codebook = logits.argmax(-1), self.effective_codebook
            z_q = gumbel_softmax(logits, temperature, generator) @ codebook if self.training else codebook[codes]
            return self._quantized(latents, logits, z_q, codes, encoded.shape[0], valid)

    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Hard codes, each drawn with its probability (the Gumbel-max way)."""
        with torch.autocast(encoded.device.type, enabled=False):
            latents, logits = self._posterior(encoded, None)
            codes = gumbel_max(logits, generator)
            return self._quantized(latents, logits, self.effective_codebook[codes], codes, encoded.shape[0], None)

    @torch.no_grad()
    def encode(self, encoded: Tensor, codebooks: int | None = None) -> Tensor:  # noqa: ARG002 - there is one
        """encoded [B, T, channels] -> codes [B, 1, T] int64: the most probable codewords, ties to the lowest index."""
        with torch.autocast(encoded.device.type, enabled=False):
            return self._posterior(encoded, None)[1].argmax(-1).view(len(encoded), 1, -1)

    @torch.no_grad()
    def measured(self, encoded: Tensor) -> Measured:
        """As the posterior has it: a codeword costs -log of its probability up to a constant, in nats."""
        with torch.autocast(encoded.device.type, enabled=False):
            latents = self.latents(encoded.float(), None)
            weights = 0.5 * latents.precision.expand(len(latents.z), -1)
        return Measured(*(values.reshape(*encoded.shape[:2], -1) for values in (latents.z, weights)))

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1, T] -> codewords [B, T, D]."""
        return self.effective_codebook[codes[:, 0]]

    def _posterior(self, encoded: Tensor, valid: Tensor | None) -> tuple[Latents, Tensor]:
        latents = self.latents(encoded.float(), valid)
        return latents, self.logits(latents.z, latents.precision)

    def _quantized(
        self, latents: Latents, logits: Tensor, z_q: Tensor, codes: Tensor, batch: int, valid: Tensor | None
    ) -> Quantized:
        log_p = torch.log_softmax(logits, dim=-1)
        entropy = -(log_p.exp() * log_p).sum(-1)
        return Quantized(
            z_q.view(batch, -1, self.dim),
            codes.view(batch, 1, -1),
            summed(self.quadratic(latents, z_q), valid, batch),
            summed(entropy, valid, batch),
            latents.log_var,
        )
