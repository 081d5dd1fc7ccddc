"""How much the error of each code counts: loud ones more, as in training (`sqcodec.model.likelihood`)."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqcodec.spectrogram import FeatureConfig

_UNIFORM = 0.5  # fraction of the weight that does not depend on loudness; training has 0.3 (docs/results/rate.md)


def frame_powers(features: NDArray[np.floating[Any]], config: FeatureConfig) -> NDArray[np.float64]:
    """The mean power of the bands [t] of features [F, t]."""
    powers: NDArray[np.float64] = np.power(10.0, features.astype(np.float64) * config.decibels_per_unit / 10).mean(
        axis=0
    )
    return powers


def code_weights(powers: Iterable[NDArray[np.float64]], config: FeatureConfig, loudness: float) -> NDArray[np.float32]:
    """Weights [T] of mean 1 of the codes of a recording; powers: `frame_powers` of its blocks, the last code may have
    fewer frames.

    Half of the weight follows amplitude^(2 loudness), the amplitude being that of all bands together.
    """
    power = np.concatenate(list(powers))
    whole = -len(power) % config.frames_per_code
    level = np.pad(power, (0, whole), mode="edge").reshape(-1, config.frames_per_code).mean(axis=1) ** loudness
    weights: NDArray[np.float32] = (_UNIFORM + (1 - _UNIFORM) * level / max(level.mean(), 1e-300)).astype(np.float32)
    return weights
