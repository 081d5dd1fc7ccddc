"""Spectral error in dB^2, as the SQ-VAE paper's Table 3 reports it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SquaredError:
    """Squared error summed over values (a value is one band of one frame), in feature units; adds up over files."""

    total: float = 0.0
    values: int = 0

    def __add__(self, other: "SquaredError") -> "SquaredError":
        return SquaredError(self.total + other.total, self.values + other.values)

    def db2(self, dynamic_range: float) -> float:
        """Mean squared error in dB^2; dynamic_range: dB that one feature unit stands for (80 for `paper-mel`)."""
        return self.total / self.values * dynamic_range**2


def squared_error(reference: Tensor, degraded: Tensor) -> SquaredError:
    """Of two spectrograms [F, T] of one shape, summed in float64."""
    assert reference.shape == degraded.shape
    return SquaredError(torch.sub(degraded, reference).double().square().sum().item(), reference.numel())
