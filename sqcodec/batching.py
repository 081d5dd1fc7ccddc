"""Windows of several recordings computed in batches: those of like length together, the results in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any, TypeVar

Source = TypeVar("Source")
Window = TypeVar("Window")
Result = TypeVar("Result")

_ON_GPU = 18_000  # frames of a batch on a GPU, padding included: 180 s, about 1 GB of activations by the layers' widths
_LOOK_AHEAD = 2  # batches' worth of windows that are sorted by length at once


def frames_at_once(device: str, *, on_cpu: int) -> int:
    """Frames of a batch on a device, of which a GPU takes more."""
    return on_cpu if device == "cpu" else _ON_GPU


def in_batches(
    sources: Iterable[Source],
    cut: Callable[[Source], Iterable[Window]],
    run: Callable[[list[Window]], Sequence[Result]],
    *,
    shape: Callable[[Window], tuple[Any, int]],
    frames: int,
) -> Iterator[tuple[Source, Iterator[tuple[Window, Result]]]]:
    """Each of the sources in their order, with its windows and their results, which must be taken before the next one.

    cut: makes windows of a source. run: computes several, padded to the longest. shape: (kind, length in frames) of a
    window; a batch has windows of one kind. frames: in a batch, padding included; one window may have more. No more
    sources are read than a batch and the one after it need, so memory depends neither on their number nor on their
    lengths.
    """
    waiting: deque[Source] = deque()

    def numbered() -> Iterator[tuple[int, Window]]:
        for number, source in enumerate(sources):
            waiting.append(source)
            for window in cut(source):
                yield number, window

    expected = 0
    for number, group in groupby(_computed(numbered(), run, shape, frames), key=lambda each: each[0]):
        for _ in range(expected, number):  # sources without any window
            yield waiting.popleft(), iter(())
        yield waiting.popleft(), ((window, result) for _, window, result in group)
        expected = number + 1
    while waiting:
        yield waiting.popleft(), iter(())


def _computed(
    numbered: Iterable[tuple[int, Window]],
    run: Callable[[list[Window]], Sequence[Result]],
    shape: Callable[[Window], tuple[Any, int]],
    frames: int,
) -> Iterator[tuple[int, Window, Result]]:
    for group in _groups(numbered, shape, _LOOK_AHEAD * frames):
        windows = [window for _, window in group]
        results: dict[int, Result] = {}
        for places in batches([shape(window) for window in windows], frames):
            results |= zip(places, run([windows[place] for place in places]), strict=True)
        for place, (number, window) in enumerate(group):
            yield number, window, results[place]


def _groups(
    numbered: Iterable[tuple[int, Window]], shape: Callable[[Window], tuple[Any, int]], frames: int
) -> Iterator[list[tuple[int, Window]]]:
    """Windows in their order, in groups that end with the one that reaches `frames`."""
    group, total = [], 0
    for each in numbered:
        group.append(each)
        total += shape(each[1])[1]
        if total >= frames:
            yield group
            group, total = [], 0
    if group:
        yield group


def batches(shapes: Sequence[tuple[Any, int]], frames: int) -> list[list[int]]:
    """The places of (kind, length) in batches of one kind, of at most `frames` with padding, but for a single one.

    The longest come first, so that each batch is padded to the length of its first.
    """
    order = sorted(range(len(shapes)), key=lambda place: shapes[place], reverse=True)
    starts: list[int] = []
    for index, place in enumerate(order):
        kind, length = shapes[order[starts[-1]]] if starts else shapes[place]
        if not starts or shapes[place][0] != kind or (index - starts[-1] + 1) * length > frames:
            starts.append(index)
    return [order[start:stop] for start, stop in pairwise([*starts, len(order)])]
