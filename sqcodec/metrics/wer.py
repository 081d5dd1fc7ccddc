"""Word error rate: edits over words of the reference (Levenshtein distance of word sequences)."""

import re

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError

_NOT_A_WORD = re.compile(r"[^\w' ]+")


def edit_distance(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Insertions, deletions and substitutions that take `first` [n] to `second` [m] (Levenshtein, 1966)."""
    row = np.arange(len(second) + 1)
    for i, symbol in enumerate(first, 1):
        kept = row[:-1] + (second != symbol)
        new = np.minimum(row[1:] + 1, kept)
        row = np.minimum.accumulate(np.concatenate([[i], new]) - np.arange(len(row))) + np.arange(len(row))
    return int(row[-1])


def words(text: str) -> list[str]:
    """Lower-case words; punctuation other than the apostrophe separates."""
    return _NOT_A_WORD.sub(" ", text.lower()).split()


def word_error_rate(reference: str, recognised: str) -> float:
    """Word error rate in %; above 100 if more words are inserted than the reference has.

    Raises MetricError: the reference has no words.
    """
    expected, got = words(reference), words(recognised)
    if not expected:
        raise MetricError("the reference's transcript holds no words")
    numbers = {word: number for number, word in enumerate(dict.fromkeys(expected + got))}
    first, second = (np.array([numbers[word] for word in sequence], np.int64) for sequence in (expected, got))
    return 100.0 * edit_distance(first, second) / len(expected)
