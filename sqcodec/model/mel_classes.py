"""Spectrogram values as classes of 1 dB, between two quantiles of the training set."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.spectrogram import FeatureConfig

QUANTILES = (0.0001, 0.9999)
_BLOCK = 1 << 22  # values counted at a time: bounds the memory


@dataclass(frozen=True, kw_only=True)
class MelClasses:
    """`number` classes of 1 dB, from `lowest` dB upwards; `scale`: dB per feature unit. Values outside are clipped."""

    lowest: float
    number: int
    scale: float

    def of(self, features: Tensor) -> Tensor:
        """Feature values -> class indices, int64, of the same shape."""
        return self._unclipped(features).clamp(0, self.number - 1)

    def values(self, classes: Tensor) -> Tensor:
        """Class indices -> feature values at the class centres, float32, of the same shape."""
        return (classes.float() + (self.lowest + 0.5)) / self.scale

    def clipped(self, features: Tensor) -> int:
        """The number of values outside all classes."""
        classes = self._unclipped(features)
        return int(((classes < 0) | (classes >= self.number)).sum().item())

    def _unclipped(self, features: Tensor) -> Tensor:
        return torch.floor(features.float() * self.scale - self.lowest).long()


def find_classes(features: NDArray[np.float16], config: FeatureConfig) -> MelClasses:
    """Classes of 1 dB between the 0.01 % and the 99.99 % quantile of features [T, F], counted exactly."""
    counts = np.zeros(1 << 16, np.int64)
    flat = features.reshape(-1)
    for start in range(0, len(flat), _BLOCK):  # float16 has at most 65536 values: count each of them
        counts += np.bincount(np.ascontiguousarray(flat[start : start + _BLOCK]).view(np.uint16), minlength=1 << 16)
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
    present = np.flatnonzero(counts)
    order = present[np.argsort(values[present])]
    fraction = np.cumsum(counts[order]) / counts.sum()
    scale = config.decibels_per_unit
    low, high = (scale * values[order[np.searchsorted(fraction, q)]] for q in QUANTILES)
    return MelClasses(lowest=math.floor(low), number=max(2, math.floor(high) - math.floor(low) + 1), scale=scale)
