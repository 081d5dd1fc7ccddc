"""An order of codewords in which a flipped bit lands on a near one, the lower the bit the nearer.

Codewords are paired, the nearest first; then the pairs, by their sums, and so on: level n decides bit n. Only whole
numbers are compared, so every machine finds the same order.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_UNITS = 4096.0  # steps of codewords, of which squared distances stay far below 2^63

_Integers = NDArray[np.int64]


def codeword_order(codewords: NDArray[np.float32]) -> NDArray[np.uint8]:
    """codewords [V, D], V a power of two up to 256 -> the codeword at each place [V]."""
    words = np.rint(codewords.astype(np.float64) * _UNITS).astype("<i8")
    return np.frombuffer(_order(words.tobytes(), len(words)), np.uint8)


@lru_cache(maxsize=32)  # every stream of a model asks for the same
def _order(content: bytes, size: int) -> bytes:
    """As `codeword_order`; content: `size` codewords in units, as bytes."""
    words = np.frombuffer(content, "<i8").reshape(size, -1)
    groups = np.arange(len(words))[:, None]
    while len(groups) > 1:
        pairs = _pairs(words[groups].sum(axis=1))
        groups = np.stack([_merged(groups[first], groups[second], words) for first, second in pairs])
    return bytes(groups[0].tolist())


def _pairs(sums: _Integers) -> list[tuple[int, int]]:
    """sums [G, D] of groups -> G / 2 pairs of them, the nearest two of those that are left first."""
    first, second = np.triu_indices(len(sums), 1)
    distances = np.square(sums[first] - sums[second]).sum(axis=1)
    nearest = np.argsort(distances, kind="stable")
    left, pairs = set(range(len(sums))), []
    for pair in zip(first[nearest].tolist(), second[nearest].tolist(), strict=True):
        if left.issuperset(pair):
            left.difference_update(pair)
            pairs.append(pair)
    return pairs


def _merged(low: _Integers, high: _Integers, words: _Integers) -> _Integers:
    """Two groups as one; `high` is turned so that places with the same lower bits are near each other."""
    places = np.arange(len(low))
    turns = [high[places ^ turn] for turn in range(len(high))]
    best = min(turns, key=lambda turned: int(np.square(words[low] - words[turned]).sum()))
    return np.concatenate([low, best])
