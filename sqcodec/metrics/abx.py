"""ABX discrimination error: how often X, the same phone as A by another speaker, is nearer to B, another phone.

Schatz et al., Interspeech 2013; averaged as in ZeroSpeech 2019 (Dunbar et al., Interspeech 2019): over the triples of a
cell, over contexts, over pairs of speakers, over pairs of phones.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.metrics.bootstrap import bootstrap_mean
from sqcodec.metrics.distance import Kind, pair_distances

_TIE = 1e-9  # distances that differ by less are one distance, summed in another order

_Indices = NDArray[np.int64]


class Triples(NamedTuple):
    """A cell: its two phones (of A and X, of B), speakers (of A and B, of X), and numbers of sequences [n] each."""

    phones: tuple[str, str]
    speakers: tuple[str, str]
    a: _Indices
    b: _Indices
    x: _Indices


class AbxError(NamedTuple):
    """error in % (50 is chance) with its 95 % interval by bootstrap over phone pairs; what it was counted from."""

    error: float
    low: float
    high: float
    phone_pairs: int
    cells: int
    triples: int
    distances: int


def abx_error(
    sequences: Sequence[NDArray[np.floating[Any]]], contexts: Iterable[Sequence[Triples]], kind: Kind
) -> AbxError:
    """Of sequences [T, D] and the cells of each context; a tie counts half. Raises MetricError as `pair_distances`."""
    cells: dict[tuple[tuple[str, str], tuple[str, str]], list[float]] = defaultdict(list)
    triples = distances = 0
    for context in contexts:
        scores, measured = _score(sequences, context, kind)
        distances += measured
        for cell, score in zip(context, scores, strict=True):
            cells[cell.phones, cell.speakers].append(score)
            triples += len(cell.a)
    by_speakers: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (phones, _), scores_of in cells.items():
        by_speakers[phones].append(float(np.mean(scores_of)))
    by_phones = [100.0 * float(np.mean(scores_of)) for scores_of in by_speakers.values()]
    mean = bootstrap_mean(by_phones)
    assert mean.mean is not None  # a task has at least one cell
    assert mean.low is not None
    assert mean.high is not None
    return AbxError(
        error=mean.mean, low=mean.low, high=mean.high, phone_pairs=len(by_phones),
        cells=sum(map(len, cells.values())), triples=triples, distances=distances,
    )  # fmt: skip


def _score(
    sequences: Sequence[NDArray[np.floating[Any]]], cells: Sequence[Triples], kind: Kind
) -> tuple[list[float], int]:
    """Error rate of each cell, and the number of distances computed; each pair is computed once."""
    a, b, x = (np.concatenate([getattr(cell, name) for cell in cells]) for name in "abx")
    total = len(sequences)
    keys, positions = np.unique(np.concatenate([a * total + x, b * total + x]), return_inverse=True)
    used, numbers = np.unique(np.concatenate([keys // total, keys % total]), return_inverse=True)
    pairs = numbers.reshape(2, -1).T
    measured = pair_distances([sequences[number] for number in used], pairs, kind)
    to_a, to_b = measured[positions.ravel()].reshape(2, -1)
    wrong = np.where(np.abs(to_a - to_b) <= _TIE, 0.5, (to_b < to_a).astype(np.float64))
    ends = np.cumsum([len(cell.a) for cell in cells])[:-1]
    return [float(part.mean()) for part in np.split(wrong, ends)], len(keys)
