"""Entropy tables: the frequencies follow from the stored integers by the documented rule, and from nothing else."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqcodec.bitstream.entropy_tables import BELOW, PREVIOUS, TOTAL, count, frequencies, from_arrays
from sqcodec.errors import ModelError
from tests import reference
from tests.bitstream.examples import make_tables, walk


@given(st.lists(st.integers(0, 2**42 // 300), min_size=1, max_size=300).filter(any))
def test_frequencies_sum_to_the_total_and_none_is_zero(weights) -> None:
    shares = frequencies(np.array(weights))
    assert shares.sum() == TOTAL
    assert shares.min() >= 1
    assert shares.tolist() == reference.frequencies(weights, TOTAL)  # whole numbers without a limit


@pytest.mark.parametrize("books", [1, 3])
def test_every_row_follows_the_documented_rule(books) -> None:
    sequences = [walk(400, books, 16, seed) for seed in range(5)]
    tables = count(sequences, (16,) * books)
    for book in range(books):
        for context in (None, *range(16)):
            got = tables.frequencies_of(book, context).tolist()
            below = tables.books[book].context == BELOW
            assert got == reference.entropy_row(sequences, book, context, below=below, size=16, total=TOTAL)


def test_the_more_informative_context_is_chosen() -> None:
    contexts = [book.context for book in make_tables(3).books]
    assert contexts == [PREVIOUS, BELOW, BELOW]  # `walk` makes the upper books from the first


def test_a_context_never_seen_falls_back() -> None:
    tables = count([np.array([[0, 1, 0, 1]])], (4,))
    assert tables.frequencies_of(0, 3).tolist() == tables.frequencies_of(0, None).tolist()


def test_round_trip() -> None:
    tables = make_tables(2)
    again = from_arrays(tables.to_arrays(), where="x")
    assert again.digest == tables.digest
    assert again.row(1, 3) == tables.row(1, 3)


def test_many_counts_stay_within_64_bits() -> None:
    tables = count([np.zeros((1, 5_000_000), np.uint16), np.array([[0, 1, 0, 1]])], (2,))
    assert 2**19 <= tables.books[0].times.sum() <= 2**21
    share = Fraction(int(tables.frequencies_of(0, 0)[0]), TOTAL)
    assert share == Fraction(TOTAL - 1, TOTAL)  # 5 million to 2: as near to 1 as it can be
    assert from_arrays(tables.to_arrays(), where="x").digest == tables.digest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contexts", np.array([2])), ("contexts", np.array([BELOW])), ("contexts", np.zeros(0)),
        ("0.counts", np.full(16, -1)), ("0.counts", np.full(16, 2**40)), ("0.counts", np.zeros((4, 4))),
        ("0.counts", np.repeat([2**62, 0], [4, 12])), ("0.counts", np.ones(16)), ("0.counts", np.full(16, np.nan)),
        ("0.pairs", np.full((0, 3), 0)), ("0.pairs", None), ("0.times", np.zeros(3)),
    ],
)  # fmt: skip
def test_arrays_that_are_not_tables_are_refused(name, value) -> None:
    arrays = make_tables().to_arrays() | {name: value}
    with pytest.raises(ModelError) as caught:
        from_arrays({key: array for key, array in arrays.items() if array is not None}, where="m")
    assert str(caught.value) == "m: its entropy tables are damaged; fetch the model again"


@pytest.mark.parametrize(
    "damage",
    [
        lambda pairs, times: pairs.__setitem__((0, 0), 40_000),
        lambda pairs, times: pairs.__setitem__((-1, 1), 16),
        lambda pairs, times: pairs.__setitem__(1, pairs[0]),
        lambda pairs, times: times.__setitem__(0, 0),
        lambda pairs, times: times.__setitem__(0, 2**21 + 1),
        lambda pairs, times: times.__setitem__(0, -1),
    ],
)
def test_counts_that_would_overflow_or_point_beyond_are_refused(damage) -> None:
    arrays = make_tables().to_arrays()
    damage(arrays["0.pairs"], arrays["0.times"])
    with pytest.raises(ModelError):
        from_arrays(arrays, where="m")
