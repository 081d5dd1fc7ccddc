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


def bootstrap_mean(values: Sequence[float], *, weights: Sequence[float] | None = None) -> Mean:
    """The mean and its interval: 2.5th and 97.5th percentile of the means of `RESAMPLES` draws with replacement.

    weights: of each file, for a figure that is a ratio of sums (bits over seconds, squared error over values).
    One value has an interval of no width, which says nothing: look at `files`.
    """
    if not values:
        return Mean(None, None, None, 0)
    data = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(_SEED).integers(0, len(data), size=(RESAMPLES, len(data)))
    weight = np.ones(len(data)) if weights is None else np.asarray(weights, dtype=np.float64)
    means = (data * weight)[draws].sum(1) / weight[draws].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Mean(float((data * weight).sum() / weight.sum()), float(low), float(high), len(data))
