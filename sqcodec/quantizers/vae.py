"""No quantiser: the Gaussian latents of a plain VAE (Kingma and Welling, 2014, arXiv 1312.6114), for comparison."""

import math

import torch
from torch import Tensor

from sqcodec import ranks
from sqcodec.quantizers.gaussian import LOG_VAR_LIMIT
from sqcodec.quantizers.quantizer import Quantized, Quantizer, summed
from sqcodec.recipe.quantizer_section import VaeConfig


class VaeLatents(Quantizer):
    """q(z|x) = N(mean, variance), one per frame and dimension; prior N(0, 1). There are no codes: K is 0.

    quadratic is the cross-entropy to the prior and entropy that of q(z|x), so that their difference is the divergence
    KL(q || prior) = 1/2 sum (mean^2 + variance - 1 - log variance).
    """

    codebooks = 0

    def __init__(self, config: VaeConfig) -> None:
        super().__init__(codewords=0, dim=config.dim)
        self.register_buffer("codebook", torch.empty(0, config.dim))

    @property
    def channels(self) -> int:
        """Mean and log variance of each dimension."""
        return 2 * self.dim

    def forward(
        self,
        encoded: Tensor,
        temperature: float,  # noqa: ARG002 - nothing is annealed
        generator: torch.Generator | None = None,
        *,
        valid: Tensor | None = None,
    ) -> Quantized:
        """A sample of q(z|x) in training, its mean otherwise; codes [B, 0, T]."""
        return self._quantized(encoded, generator, valid, drawn=self.training)

    def draw(self, encoded: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """A sample of q(z|x)."""
        return self._quantized(encoded, generator, None, drawn=True)

    def encode(self, encoded: Tensor, codebooks: int | None = None) -> Tensor:  # noqa: ARG002 - there is none
        """No codes: [B, 0, T]."""
        return torch.empty(encoded.shape[0], 0, encoded.shape[1], dtype=torch.int64, device=encoded.device)

    def decode(self, codes: Tensor) -> Tensor:
        """There is nothing to decode."""
        raise AssertionError(f"a plain VAE has no codes, got {tuple(codes.shape)}")

    def _quantized(
        self, encoded: Tensor, generator: torch.Generator | None, valid: Tensor | None, *, drawn: bool
    ) -> Quantized:
        with torch.autocast(encoded.device.type, enabled=False):
            encoded = encoded.float()
            mean, log_var = encoded[..., : self.dim], encoded[..., self.dim :]
            log_var = log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT)
            noise = _normal(mean, generator) if drawn else torch.zeros_like(mean)
            cross = 0.5 * (mean.square() + log_var.exp() + math.log(2 * math.pi)).sum(-1)
            entropy = 0.5 * (log_var + math.log(2 * math.pi * math.e)).sum(-1)
            return Quantized(
                mean + noise * (0.5 * log_var).exp(),
                self.encode(encoded),
                summed(cross.flatten(), valid, len(encoded)),
                summed(entropy.flatten(), valid, len(encoded)),
                log_var.mean() if valid is None else log_var[valid].mean(),
            )


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """N(0, 1) of the shape [B, T, D]."""
    drawn = like.new_empty(ranks.count() * len(like), *like.shape[1:]).normal_(generator=generator)
    return ranks.own_rows(drawn)
