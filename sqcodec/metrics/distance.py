"""Distances of sequences of frames, many pairs at once: time warping with angle or divergence, and edit distance.

As ABXpy has them (Schatz et al., Interspeech 2013), the ZeroSpeech challenges' tool: the cheapest warping path's cost
over its length in cells. cosine: the angle over pi, 1 from a frame of zeros to any other; kl: Kullback-Leibler
divergence, both ways averaged, of frames scaled to sum to one; levenshtein: number of edits, frames alike or not (the
challenge's figure); levenshtein-normalised: that over the longer length. Sums run in one order wherever frames
stand, so that equal frames have equal distances. Compiled by numba at the first call.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numba
import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError
from sqcodec.metrics.dtw import accumulate_, step_back

Kind = Literal["cosine", "kl", "levenshtein", "levenshtein-normalised"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SAME = 1e-14  # 1 - cosine below which directions are one: float64 rounding over a few hundred dimensions

_Array = NDArray[np.float64]


class _Frames(NamedTuple):
    """All sequences one after the other: frames [n, D], a second view of them [n, D], and where each begins [N + 1]."""

    values: _Array
    others: _Array
    starts: NDArray[np.int64]


def pair_distances(
    sequences: Sequence[NDArray[np.floating[Any]]], pairs: NDArray[np.int64], kind: Kind
) -> NDArray[np.float64]:
    """sequences: [T, D] each; pairs: [n, 2] numbers of sequences -> [n] distances.

    Raises MetricError: sequences of different D, an empty one, numbers that are not finite, or negative ones for kl.
    """
    _check(sequences, kind)
    starts = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])]).astype(np.int64)
    values = np.concatenate(sequences).astype(np.float64)
    pairs = np.ascontiguousarray(pairs, np.int64)
    distances: _Array
    match kind:
        case "cosine":
            norms = np.sqrt((values**2).sum(1, keepdims=True))
            unit = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
            distances = _warped(unit, unit, norms[:, 0], starts, pairs, True)
        case "kl":
            probability = _probabilities(values)
            logarithm = np.log(probability)
            distances = _warped(probability, logarithm, (probability * logarithm).sum(1), starts, pairs, False)
        case "levenshtein" | "levenshtein-normalised":
            symbols = np.unique(values, axis=0, return_inverse=True)[1].astype(np.int64).ravel()
            distances = _edits(symbols, starts, pairs)
            if kind == "levenshtein-normalised":
                distances /= np.diff(starts)[pairs].max(axis=1)
    return distances


def _check(sequences: Sequence[NDArray[np.floating[Any]]], kind: Kind) -> None:
    dimensions = {sequence.shape[1:] for sequence in sequences}
    if len(dimensions) != 1 or any(sequence.ndim != 2 for sequence in sequences):
        raise MetricError(f"got frames of sizes {sorted(dimensions)}, expected sequences [T, D] of one D")
    if min(len(sequence) for sequence in sequences) == 0:
        raise MetricError("got a sequence without frames, expected at least one")
    if not all(np.isfinite(sequence).all() for sequence in sequences):
        raise MetricError("got frames that are not finite")
    if kind == "kl" and any((sequence < 0).any() or not sequence.any(1).all() for sequence in sequences):
        raise MetricError("kl: got negative numbers or frames of zeros, expected probabilities; use cosine")


def _probabilities(values: _Array) -> _Array:
    """Rows that sum to one and hold no zero: ABXpy adds the type's epsilon, and divides again."""
    probability = values / values.sum(1, keepdims=True) + np.finfo(np.float64).eps
    scaled: _Array = probability / probability.sum(1, keepdims=True)
    return scaled


@numba.njit(parallel=True)
def _warped(values: Any, others: Any, extra: Any, starts: Any, pairs: Any, angular: bool) -> Any:
    distances = np.empty(len(pairs))
    for n in numba.prange(len(pairs)):
        first, second = pairs[n]
        i0, i1, j0, j1 = starts[first], starts[first + 1], starts[second], starts[second + 1]
        if angular:
            cost = _angles(values[i0:i1], values[j0:j1], extra[i0:i1], extra[j0:j1])
        else:
            cost = _divergences(values[i0:i1], others[i0:i1], extra[i0:i1], values[j0:j1], others[j0:j1], extra[j0:j1])
        distances[n] = _path_mean(cost)
    return distances


@numba.njit
def _products(x: Any, y: Any) -> Any:
    """x y^T; the sum over dimensions runs in one order for every pair of rows."""
    columns = y.T.copy()
    products = np.zeros((len(x), len(y)))
    for i in range(len(x)):
        for d in range(x.shape[1]):
            factor = x[i, d]
            for j in range(len(y)):
                products[i, j] += factor * columns[d, j]
    return products


@numba.njit
def _angles(x: Any, y: Any, x_norms: Any, y_norms: Any) -> Any:
    angles = _products(x, y)
    for i in range(len(x)):
        for j in range(len(y)):
            if x_norms[i] == 0.0 or y_norms[j] == 0.0:
                angles[i, j] = 0.0 if x_norms[i] == y_norms[j] else 1.0
            elif angles[i, j] > 1.0 - _SAME:
                angles[i, j] = 0.0
            else:
                angles[i, j] = np.arccos(max(-1.0, angles[i, j])) / np.pi
    return angles


@numba.njit
def _divergences(x: Any, log_x: Any, x_sums: Any, y: Any, log_y: Any, y_sums: Any) -> Any:
    """1/2 sum x (log x - log y) + 1/2 sum y (log y - log x)."""
    forth, back = _products(x, log_y), _products(log_x, y)
    for i in range(len(x)):
        for j in range(len(y)):
            forth[i, j] = max(0.0, 0.5 * (x_sums[i] + y_sums[j] - forth[i, j] - back[i, j]))
    return forth


@numba.njit
def _path_mean(cost: Any) -> Any:
    accumulate_(cost)
    i, j, cells = cost.shape[0] - 1, cost.shape[1] - 1, 1
    total = cost[i, j]
    while i > 0 or j > 0:
        i, j = step_back(cost, i, j)
        cells += 1
    return total / cells


# A task has up to a million pairs, so this is compiled; `wer.edit_distance` counts one pair without a compiler.
@numba.njit(parallel=True)
def _edits(symbols: Any, starts: Any, pairs: Any) -> Any:
    distances = np.empty(len(pairs))
    for n in numba.prange(len(pairs)):
        first, second = pairs[n]
        x, y = symbols[starts[first] : starts[first + 1]], symbols[starts[second] : starts[second + 1]]
        row = np.arange(len(y) + 1)
        for i in range(len(x)):
            diagonal, row[0] = row[0], i + 1
            for j in range(len(y)):
                kept = diagonal + (0 if x[i] == y[j] else 1)
                diagonal = row[j + 1]
                row[j + 1] = min(kept, row[j] + 1, row[j + 1] + 1)
        distances[n] = row[len(y)]
    return distances
