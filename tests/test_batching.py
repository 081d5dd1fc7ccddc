"""Windows in batches: order, kinds, sizes, how far is read ahead."""

from collections.abc import Iterator

import numpy as np
import pytest

from sqcodec.batching import batches, in_batches


def run_by(sizes: list[list[int]], most: int, read: list[int]) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """Sources are lists of lengths, which are their windows; the result of a window is its negative."""

    def reading() -> Iterator[list[int]]:
        for number, source in enumerate(sizes):
            read.append(number)
            yield source

    def run(windows: list[int]) -> list[int]:
        assert len(windows) == 1 or len(windows) * max(windows) <= most
        return [-window for window in windows]

    every = in_batches(reading(), lambda source: source, run, shape=lambda window: (0, window), frames=most)
    return ((source, list(found)) for source, found in every)


@pytest.mark.parametrize("seed", range(20))
def test_every_window_has_its_result_in_its_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes = [random.integers(1, 50, random.integers(0, 4)).tolist() for _ in range(random.integers(0, 30))]
    found = list(run_by(sizes, int(random.integers(1, 300)), []))
    assert found == [(source, [(window, -window) for window in source]) for source in sizes]


def test_what_is_not_taken_is_passed_over() -> None:
    every = in_batches(
        [[1, 2], [3], [4, 5]], lambda source: source, lambda each: each, shape=lambda w: (0, w), frames=9
    )
    assert [source for source, _ in every] == [[1, 2], [3], [4, 5]]


def test_only_two_batches_of_sources_are_read_ahead() -> None:
    read: list[int] = []
    every = run_by([[10]] * 10_000, 100, read)
    for number in range(100):
        next(every)
        assert len(read) <= number + 21  # two batches of ten, and one more to see where a source ends


def test_a_batch_has_one_kind_and_little_padding() -> None:
    random = np.random.default_rng(0)
    shapes = [(int(kind), int(length)) for kind, length in random.integers((0, 1), (3, 200), (500, 2))]
    found = batches(shapes, 2000)
    assert sorted(place for batch in found for place in batch) == list(range(500))
    used = padding = 0
    for batch in found:
        lengths = [shapes[place][1] for place in batch]
        assert len({shapes[place][0] for place in batch}) == 1
        assert len(batch) * max(lengths) <= 2000
        used, padding = used + sum(lengths), padding + len(batch) * max(lengths) - sum(lengths)
    assert padding < 0.2 * used  # measured 0.10; in the order given it would be 0.9


def test_a_window_longer_than_a_batch_is_alone() -> None:
    assert batches([(0, 30), (0, 4), (0, 5)], 10) == [[0], [2, 1]]
    assert batches([], 10) == []
