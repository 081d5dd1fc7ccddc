"""The normaliser of the von Mises-Fisher distribution, in logarithms, for any concentration and dimension in use.

log C_F(kappa) = (F/2 - 1) log kappa - (F/2) log 2 pi - log I_{F/2-1}(kappa) (SQ-VAE, eq. 11). scipy's
`ive` underflows in high dimensions, so the power series I_v(x) = sum_k (x/2)^(2k+v) / (k! Gamma(k+v+1)) is summed in
logarithms and float64: its terms are all positive, the largest lies near k = x/2, and TERMS of them hold up to x = 1e4.
"""

import math
from typing import Any

import torch
from torch import Tensor

LOWEST, HIGHEST = 1e-3, 1e4  # concentrations for which the series is good to 1e-8
TERMS = 6000  # the largest term at x = 1e4 is k = 5000; terms 14 standard deviations (of 50) further fall below e^-100


class _LogNormaliser(torch.autograd.Function):
    """log C_F with its own gradient, -A_F(kappa): under the series' weights k has mean kappa A_F / 2."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, dimensions: int) -> Tensor:
        kappa, order = concentration.double(), dimensions / 2 - 1
        k = torch.arange(TERMS, dtype=torch.float64, device=kappa.device)
        # order * log(kappa) of the series and of C_F cancel; only 2k log(kappa / 2) is left of the power
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
    """log C_F(kappa) of a scalar concentration in [1e-3, 1e4] and F = 2 to 512 dimensions; float64, differentiable."""
    result: Tensor = _LogNormaliser.apply(concentration, dimensions)  # type: ignore[no-untyped-call]
    return result
