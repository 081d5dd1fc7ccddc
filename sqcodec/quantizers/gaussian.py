"""Gaussian stochastic quantisation (SQ-VAE, Takida et al., ICML 2022, arXiv 2205.07547; Table 1, eq. 7 and 8).

A latent z is coded by codeword b with probability softmax_b(-1/2 (z - b)^T diag(precision) (z - b)). The variance is
learned, so quantisation starts soft and anneals itself. Everything here runs in float32, whatever autocast or TF32 say.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Variance = Literal["I", "III", "IV"]
LOG_VAR_LIMIT = 14.0  # |log variance| beyond which the precision would leave float32's useful range


class Quantized(NamedTuple):
    """A quantised batch.

    z_q: [B, T, D], soft samples in training, codewords otherwise; codes: [B, T] int64, the nearest codewords;
    quadratic, entropy: [B], sums over time (and dimension or codewords) in nats; log_var: mean over all, a scalar.
    """

    z_q: Tensor
    codes: Tensor
    quadratic: Tensor
    entropy: Tensor
    log_var: Tensor


def gaussian_logits(z: Tensor, precision: Tensor, codebook: Tensor) -> Tensor:
    """Log-probabilities, up to a constant a row, of each codeword given z (eq. 7).

    z: [N, D]; precision: [N, D] (IV), [N, 1] (III) or [1, 1] (I); codebook: [V, D] -> [N, V], float32.
    The row constant -1/2 sum_j p_j z_j^2 is left out: softmax and argmax do not see it. Two matrix products, so that
    nothing of size [N, V, D] ever exists; for I and III one product serves, since the precision leaves the sum.
    """
    centre = codebook.mean(0)
    z, codebook = z - centre, codebook - centre  # distances do not change; rounding shrinks
    if precision.shape[-1] == 1:
        return precision * torch.addmm(-0.5 * codebook.square().sum(-1), z, codebook.T)
    return torch.addmm((precision * z) @ codebook.T, precision, codebook.square().T, alpha=-0.5)


def gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """A soft sample [N, V] of softmax(logits [N, V]); Gumbel noise in float32 from a clamped exponential."""
    exponential = torch.empty_like(logits).exponential_(generator=generator)
    gumbel = -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()
    return torch.softmax((logits + gumbel) / temperature, dim=-1)


class GaussianQuantizer(nn.Module):
    """Gaussian SQ with one variance for all latents (I), one a frame (III), or one a frame and dimension (IV).

    codewords V, dim D; initial_variance: exp of the learned scalar that starts every log variance (10 for speech).
    """

    def __init__(self, *, variance: Variance, codewords: int, dim: int, initial_variance: float) -> None:
        super().__init__()
        self.variance, self.dim = variance, dim
        self.codebook = nn.Parameter(torch.randn(codewords, dim))
        self.log_var_scalar = nn.Parameter(torch.tensor(float(initial_variance)).log())

    @property
    def channels(self) -> int:
        """Channels that the encoder must give: the latent's D and those of its log variance."""
        return self.dim + {"I": 0, "III": 1, "IV": self.dim}[self.variance]

    def forward(self, encoded: Tensor, temperature: float, generator: torch.Generator | None = None) -> Quantized:
        """Quantise encoded [B, T, channels]: a soft sample in training, the nearest codeword otherwise.

        The quadratic term is 1/2 sum p (z - z_q)^2 (R of eq. 8); it and the entropy are summed, not averaged.
        """
        with torch.autocast(encoded.device.type, enabled=False):
            z, log_var = self._split(encoded.float())
            precision = torch.exp(-log_var)
            logits = gaussian_logits(z, precision, self.codebook)
            codes = logits.argmax(-1)
            log_p = torch.log_softmax(logits, dim=-1)
            entropy = -(log_p.exp() * log_p).sum(-1)
            if self.training:
                z_q = gumbel_softmax(logits, temperature, generator) @ self.codebook
            else:
                z_q = self.codebook[codes]
            quadratic = 0.5 * (precision * (z - z_q).square()).sum(-1)
            batch, frames = encoded.shape[:2]
            return Quantized(
                z_q.view(batch, frames, self.dim),
                codes.view(batch, frames),
                quadratic.view(batch, frames).sum(-1),
                entropy.view(batch, frames).sum(-1),
                log_var.mean(),
            )

    @torch.no_grad()
    def encode(self, encoded: Tensor) -> Tensor:
        """encoded [B, T, channels] -> codes [B, T] int64: the nearest codewords, ties to the lowest index."""
        with torch.autocast(encoded.device.type, enabled=False):
            z, log_var = self._split(encoded.float())
            return gaussian_logits(z, torch.exp(-log_var), self.codebook).argmax(-1).view(encoded.shape[:2])

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, T] -> codewords [B, T, D]."""
        return self.codebook[codes]

    def _split(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, channels] -> z [B T, D] and its log variance, [1, 1] (I), [B T, 1] (III) or [B T, D] (IV)."""
        encoded = encoded.reshape(-1, encoded.shape[-1])
        z, rest = encoded[:, : self.dim], encoded[:, self.dim :]
        log_var = self.log_var_scalar.view(1, 1) if self.variance == "I" else rest + self.log_var_scalar
        return z, log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT)
