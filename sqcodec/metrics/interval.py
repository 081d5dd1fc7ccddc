"""Means with 95 % intervals by the percentile bootstrap (Efron and Tibshirani, 1993, chapter 13) over files."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
_SEED = 0  # equal scores give equal intervals


class Mean(NamedTuple):
    """Mean over `files` files, and the 95 % interval's ends; all None when there is no file."""

    mean: float | None
    low: float | None
    high: float | None
    files: int


def bootstrap_mean(values: Sequence[float]) -> Mean:
    """The mean and its interval: 2.5th and 97.5th percentile of the means of `RESAMPLES` draws with replacement.

    One value has an interval of no width, which says nothing: look at `files`.
    """
    if not values:
        return Mean(None, None, None, 0)
    data = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(_SEED).integers(0, len(data), size=(RESAMPLES, len(data)))
    low, high = np.percentile(data[draws].mean(1), [2.5, 97.5])
    return Mean(float(data.mean()), float(low), float(high), len(data))
