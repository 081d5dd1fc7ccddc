"""Smoothed n-gram models of codes: the baseline for a prior."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Codes = NDArray[np.integer[Any]]


class Ngram:
    """Order n of one codebook: each code after the n before it, absolute discounting onto order n - 1."""

    def __init__(self, rows: Iterable[Sequence[int]], *, order: int, codewords: int, discount: float) -> None:
        self.order, self.codewords, self.discount = order, codewords, discount
        self._runs: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
        for row in rows:
            for length, runs in enumerate(self._runs):
                runs.update(zip(*(row[start:] for start in range(length + 1)), strict=False))
        self._times: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
        self._kinds: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order + 1)]
        for runs, times, kinds in zip(self._runs, self._times, self._kinds, strict=True):
            for run, number in runs.items():
                times[run[:-1]] += number
                kinds[run[:-1]] += 1

    def bits(self, row: Sequence[int]) -> float:
        """Bits of a sequence. Its first codes have a shorter context."""
        return -sum(
            math.log2(self._probability(tuple(row[max(0, at - self.order) : at + 1]))) for at in range(len(row))
        )

    def _probability(self, run: tuple[int, ...]) -> float:
        """Probability of the run's last code after the others."""
        length, context = len(run) - 1, run[:-1]
        times = self._times[length][context]
        lower = self._probability(run[1:]) if length else 1 / self.codewords
        if not times:
            return lower
        own = max(self._runs[length][run] - self.discount, 0.0)
        return (own + self.discount * self._kinds[length][context] * lower) / times


def bits_per_code(train: Sequence[_Codes], test: Sequence[_Codes], codewords: Sequence[int], order: int) -> float:
    """Mean bits per code on `test` of an n-gram model of each codebook counted on `train`; codes are [K, T]."""
    total = 0.0
    for codebook, size in enumerate(codewords):
        ngram = Ngram((codes[codebook].tolist() for codes in train), order=order, codewords=size, discount=0.5)
        total += sum(ngram.bits(codes[codebook].tolist()) for codes in test)
    return total / sum(codes.size for codes in test)
