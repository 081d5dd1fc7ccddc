"""Entropy tables: counts of a model's codes, and the integer frequencies that follow from them, on every machine.

A code's context is the code before it in its own book, or the code of the book below at the same time, whichever tells
more; where there is none (a block's first code), its own frequency counts. Frequencies are made from the stored counts
by integer arithmetic alone (docs/bitstream.md has the rule), so that files decode alike everywhere and for ever.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import ModelError

TOTAL_BITS = 20
TOTAL = 1 << TOTAL_BITS  # what the frequencies of a row sum to
PREVIOUS, BELOW = 0, 1  # where a code's context lies
_CONTEXT_LIMIT = 1 << 21  # counts in one context; more would leave 64 bits
_COUNT_LIMIT = 1 << 40
_ROWS_KEPT = 4096

Integers = NDArray[np.int64]


class Row(NamedTuple):
    """One distribution: `starts[v]` to `starts[v + 1]` is what code v holds of 0 to TOTAL."""

    starts: list[int]  # [V + 1]


class Book(NamedTuple):
    """The counts of one codebook.

    counts: [V], how often each code came; pairs: [n, 2], context and code that came together, sorted; times: [n], how
    often they did; context: PREVIOUS or BELOW.
    """

    counts: Integers
    pairs: Integers
    times: Integers
    context: int


def frequencies(weights: Integers) -> Integers:
    """Share out TOTAL by weights [V] (not all 0): at least 1 each, rounded down, the rest to the largest weight."""
    shares: Integers = 1 + weights * (TOTAL - len(weights)) // weights.sum()
    shares[weights.argmax()] += TOTAL - shares.sum()
    return shares


class Tables:
    """The tables of a model, one book a codebook; rows are made when they are asked for."""

    def __init__(self, books: Sequence[Book]) -> None:
        self.books = tuple(books)
        self.codewords = tuple(len(book.counts) for book in books)
        self._plain = [frequencies(2 * book.counts + 1) for book in self.books]
        self.row = lru_cache(maxsize=_ROWS_KEPT)(self._row)

    def frequencies_of(self, book: int, context: int | None) -> Integers:
        """Frequencies [V] of a book's codes after `context` (None: no context). They sum to TOTAL."""
        plain = self._plain[book]
        if context is None:
            return plain
        pairs, times = self.books[book].pairs, self.books[book].times
        first, last = np.searchsorted(pairs[:, 0], (context, context + 1))
        if first == last:
            return plain
        weights = (last - first) * plain  # absolute discounting: each pair gives half a count to what was not seen
        weights[pairs[first:last, 1]] += (2 * times[first:last] - 1) << TOTAL_BITS
        return frequencies(weights)

    def _row(self, book: int, context: int | None) -> Row:
        return Row([0, *np.cumsum(self.frequencies_of(book, context)).tolist()])

    def bits(self, codes: NDArray[np.integer[Any]], order: int) -> float:
        """What codes [K, T] take as one block: with each book's own frequencies (order 0), or after contexts (1)."""
        total = 0.0
        for number, row in enumerate(codes.tolist()):
            below = self.books[number].context == BELOW
            contexts = codes[number - 1].tolist() if below else [None, *row[:-1]]
            for code, context in zip(row, contexts, strict=True):
                starts = self.row(number, context if order else None).starts
                total += TOTAL_BITS - math.log2(starts[code + 1] - starts[code])
        return total

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a model file stores, by name."""
        arrays: dict[str, NDArray[Any]] = {"contexts": np.array([book.context for book in self.books], np.uint8)}
        for number, book in enumerate(self.books):
            arrays[f"{number}.counts"] = book.counts
            arrays[f"{number}.pairs"] = book.pairs.astype(np.uint16)
            arrays[f"{number}.times"] = book.times.astype(np.int32)
        return arrays

    @property
    def digest(self) -> str:
        """32 hexadecimal digits over everything that the frequencies follow from."""
        digest = hashlib.sha256()
        for name, array in sorted(self.to_arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()[:32]


def count(sequences: Iterable[NDArray[np.integer[Any]]], codewords: Sequence[int]) -> Tables:
    """Count codes [K, T] of many recordings; codewords: V of each book."""
    kept = [np.asarray(codes, np.int64) for codes in sequences]
    books = []
    for number, size in enumerate(codewords):
        counts = np.bincount(np.concatenate([codes[number] for codes in kept]), minlength=size)
        choices = [_count_pairs(kept, number, size, PREVIOUS)]
        if number:
            choices.append(_count_pairs(kept, number, size, BELOW))
        pairs, times, context = min(choices, key=lambda choice: _cost(choice[0], choice[1]))
        books.append(Book(counts, pairs, times, context))
    return Tables(books)


def _count_pairs(sequences: list[Integers], book: int, size: int, context: int) -> tuple[Integers, Integers, int]:
    if context == PREVIOUS:
        joined = np.concatenate([codes[book, :-1] * size + codes[book, 1:] for codes in sequences])
    else:
        joined = np.concatenate([codes[book - 1] * size + codes[book] for codes in sequences])
    keys, times = np.unique(joined, return_counts=True)
    pairs = np.stack([keys // size, keys % size], axis=1)
    sums = np.bincount(pairs[:, 0], weights=times, minlength=1)
    excess = np.maximum(1, -(-sums // (_CONTEXT_LIMIT // 2))).astype(np.int64)  # keeps each context within the limit
    return pairs, -(-times // excess[pairs[:, 0]]), context


def _cost(pairs: Integers, times: Integers) -> float:
    """Bits that the counted codes would take, each with the share it has in its context."""
    sums = np.bincount(pairs[:, 0], weights=times, minlength=1)
    return float(-(times * np.log2(times / sums[pairs[:, 0]])).sum())


def from_arrays(arrays: Mapping[str, NDArray[Any]], *, where: str) -> Tables:
    """What `Tables.to_arrays` gave. Raises ModelError, naming `where`: not such arrays."""
    try:
        if not all(array.dtype.kind in "iu" for array in arrays.values()):
            raise TypeError
        contexts = [int(context) for context in arrays["contexts"]]
        books = [
            Book(
                arrays[f"{number}.counts"].astype(np.int64),
                arrays[f"{number}.pairs"].astype(np.int64),
                arrays[f"{number}.times"].astype(np.int64),
                context,
            )
            for number, context in enumerate(contexts)
        ]
        sound = len(books) > 0 and all(_is_sound(book, number, books) for number, book in enumerate(books))
    except (KeyError, ValueError, TypeError, IndexError):
        sound = False
    if not sound:
        raise ModelError(f"{where}: its entropy tables are damaged; fetch the model again")
    return Tables(books)


def _is_sound(book: Book, number: int, books: Sequence[Book]) -> bool:
    """Whether the counts have the form and size from which frequencies follow without overflow."""
    counts, pairs, times, context = book
    if counts.ndim != 1 or not 1 <= len(counts) <= 65536 or pairs.ndim != 2 or pairs.shape != (len(times), 2):
        return False
    if (
        counts.min() < 0
        or counts.max() >= _COUNT_LIMIT  # of each first: a sum of larger ones may leave 64 bits and look small
        or counts.sum() >= _COUNT_LIMIT
        or context not in ((PREVIOUS, BELOW) if number else (PREVIOUS,))
    ):
        return False
    if not len(times):
        return True
    keys = pairs[:, 0] * len(counts) + pairs[:, 1]
    contexts = len(books[number - context].counts)
    sums = np.bincount(pairs[:, 0].clip(0, 65535), weights=times)
    return bool(
        pairs.min() >= 0 and pairs[:, 1].max() < len(counts) and pairs[:, 0].max() < contexts
        and times.min() >= 1 and times.max() <= _CONTEXT_LIMIT
        and sums.max() <= _CONTEXT_LIMIT and (np.diff(keys) > 0).all()
    )  # fmt: skip
