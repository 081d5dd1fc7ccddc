"""Log-normaliser of the von Mises-Fisher distribution, for the concentrations and dimensions of the codec.

log C_F(kappa) = (F/2 - 1) log kappa - (F/2) log 2 pi - log I_{F/2-1}(kappa) (SQ-VAE, eq. 11). scipy's
`ive` underflows in high dimensions. Therefore the power series I_v(x) = sum_k (x/2)^(2k+v) / (k! Gamma(k+v+1)) is
summed by `logsumexp` in float64. All terms are positive and the largest is near k = x/2: TERMS suffice up to x = 1e4.
"""

import math
from typing import Any

import torch
from torch import Tensor

LOWEST, HIGHEST = 1e-3, 1e4  # range of concentrations where the series is accurate to 1e-8
TERMS = 6000  # at x = 1e4 the largest term is k = 5000; 14 standard deviations (of 50) further, terms are below e^-100


class _LogNormaliser(torch.autograd.Function):
    """log C_F with the exact gradient -A_F(kappa): the mean of k, weighted by the series' terms, is kappa A_F / 2."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, dimensions: int) -> Tensor:
        kappa, order = concentration.double(), dimensions / 2 - 1
        k = torch.arange(TERMS, dtype=torch.float64, device=kappa.device)
        # order * log(kappa) cancels between the series and C_F; of the power, 2k log(kappa / 2) remains
        terms = 2 * k * torch.log(kappa / 2) - torch.lgamma(k + 1) - torch.lgamma(k + order + 1)
        total = torch.logsumexp(terms, 0)
        mean_k = ((terms - total).exp() * k).sum()
        ctx.save_for_backward((2 * mean_k / kappa).to(concentration.dtype))
        return order * math.log(2) - dimensions / 2 * math.log(2 * math.pi) - total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mean_resultant,) = ctx.saved_tensors
        return (-gradients[0].to(mean_resultant.dtype) * mean_resultant, None)


def log_normaliser(concentration: Tensor, dimensions: int) -> Tensor:
    """log C_F(kappa), float64 and differentiable; concentration: a scalar in [1e-3, 1e4]; dimensions: F, 2 to 512."""
    result: Tensor = _LogNormaliser.apply(concentration, dimensions)  # type: ignore[no-untyped-call]
    return result
