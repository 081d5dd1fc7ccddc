"""Functions on samples and features that take NumPy arrays and torch tensors alike."""

import math
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

AnyArray = TypeVar("AnyArray", NDArray[np.float32], "Tensor")


def namespace(array: Any) -> Any:
    """The module of an array's functions: NumPy, or torch, which is not imported where there are no tensors."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def frames_of(samples: AnyArray, length: int, hop: int) -> AnyArray:
    """Samples [N] -> a view of their frames [T, length], each `hop` after the last."""
    if isinstance(samples, np.ndarray):
        return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    return samples.unfold(0, length, hop)


def reflect_index(index: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """Fold positions outside 0 .. samples-1 back by reflection at the first and last sample (as NumPy's `reflect`).

    Works for any distance, so recordings shorter than the padding are reflected again and again.
    """
    if samples == 1:
        return np.zeros_like(index)
    period = 2 * (samples - 1)
    folded = index % period
    return np.minimum(folded, period - folded)


def amplitude_to_db(amplitude: AnyArray) -> AnyArray:
    """20 log10(amplitude)."""
    decibels: AnyArray = 20.0 * namespace(amplitude).log10(amplitude)
    return decibels


def db_to_amplitude(db: AnyArray) -> AnyArray:
    """10^(dB / 20)."""
    amplitude: AnyArray = namespace(db).exp(db * (math.log(10.0) / 20.0))
    return amplitude


def pre_emphasise(samples: AnyArray, previous: float, coefficient: float) -> AnyArray:
    """y[n] = x[n] - coefficient * x[n - 1] along the last axis [.., N]; `previous` is x[-1]."""
    xp = namespace(samples)
    before = xp.full_like(samples[..., :1], previous)
    emphasised: AnyArray = samples - coefficient * xp.concatenate([before, samples[..., :-1]], axis=-1)
    return emphasised


def mel_amplitude(features: AnyArray, dynamic_range: float | None) -> AnyArray:
    """Features -> the mel amplitudes they are the logarithms of; dynamic_range: dB, as in `FeatureConfig`."""
    if dynamic_range is None:
        amplitude: AnyArray = namespace(features).exp(features)
        return amplitude
    return db_to_amplitude((features - 1.0) * dynamic_range)
