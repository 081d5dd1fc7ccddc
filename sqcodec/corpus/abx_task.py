"""What an ABX test compares: an item file (phones in files) or a task list (triples of files).

Item file: white-space columns `#file onset offset #phone prev-phone next-phone speaker`, in seconds, under a heading
of these names; what every ABX tool of the Zero Resource challenges reads. Task list: tab-separated triples under the
heading `a b x phone_1 phone_2 speaker_1 speaker_2 context`: a and x are phone_1, b is phone_2; speaker_1 says a and b,
speaker_2 says x; each is the name of a whole file.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import CorpusError

ITEM_COLUMNS = ["#file", "onset", "offset", "#phone", "prev-phone", "next-phone", "speaker"]
TASK_COLUMNS = ["a", "b", "x", "phone_1", "phone_2", "speaker_1", "speaker_2", "context"]

_Indices = NDArray[np.int64]


class Item(NamedTuple):
    """A piece of a file from `onset` to `offset` in seconds; None: the whole file."""

    file: str
    onset: float | None
    offset: float | None


class Triples(NamedTuple):
    """Triples of one kind: a and x are the first phone, b the second; a and b by the first speaker, x by the second.

    a, b, x: indices of items, [n] each; the n-th of each make one triple.
    """

    context: str
    phones: tuple[str, str]
    speakers: tuple[str, str]
    a: _Indices
    b: _Indices
    x: _Indices


class Task(NamedTuple):
    """Items, and the triples of each context; items of different contexts are never compared."""

    items: list[Item]
    contexts: list[list[Triples]]


def read_task(path: Path) -> Task:
    """Read an item file (across-speaker, by-context task) or a task list, as the heading says.

    Raises CorpusError: no such file, other columns, a line that does not fit, or nothing to compare.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected an item file or a task list") from error
    heading = lines[0].split() if lines else []
    if heading == ITEM_COLUMNS:
        task = _from_items(path, lines[1:])
    elif heading == TASK_COLUMNS:
        task = _from_triples(path, lines[1:])
    else:
        raise CorpusError(
            f"{path}: got the heading {' '.join(heading) or 'nothing'!r}, expected {' '.join(ITEM_COLUMNS)!r} (items)"
            f" or {' '.join(TASK_COLUMNS)!r} (triples)"
        )
    if not task.contexts:
        raise CorpusError(
            f"{path}: nothing to compare: no context has two phones by one speaker of which another says one"
        )
    return task


def _from_items(path: Path, lines: list[str]) -> Task:
    items: list[Item] = []
    groups: dict[str, dict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        fields = line.split()
        try:
            file, onset, offset, phone, before, after, speaker = fields
            item = Item(file, float(onset), float(offset))
            if not 0 <= float(onset) < float(offset) < float("inf"):
                raise ValueError
        except ValueError:
            raise CorpusError(
                f"{path}, line {number}: got {line!r}, expected 7 columns with 0 <= onset < offset in seconds"
            ) from None
        groups[f"{before} {after}"][phone, speaker].append(len(items))
        items.append(item)
    contexts = [list(_cells(context, by)) for context, by in sorted(groups.items())]
    return Task(items, [triples for triples in contexts if triples])


def _cells(context: str, by: dict[tuple[str, str], list[int]]) -> Iterator[Triples]:
    """Every triple: phones p != q, speakers s != t; A of (p, s), B of (q, s), X of (p, t)."""
    for phone, speaker in sorted(by):
        for other, same in sorted(by):
            if other == phone or same != speaker:
                continue
            for again, another in sorted(by):
                if again == phone and another != speaker:
                    chosen = (by[phone, speaker], by[other, speaker], by[phone, another])
                    a, b, x = (axis.ravel() for axis in np.meshgrid(*chosen, indexing="ij"))
                    yield Triples(context, (phone, other), (speaker, another), a, b, x)


def _from_triples(path: Path, lines: list[str]) -> Task:
    numbers: dict[str, int] = {}
    groups: dict[tuple[str, ...], list[list[int]]] = defaultdict(list)
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != len(TASK_COLUMNS) or not all(fields):
            raise CorpusError(f"{path}, line {number}: got {line!r}, expected 8 columns separated by tabs")
        triple = [numbers.setdefault(name, len(numbers)) for name in fields[:3]]
        groups[fields[7], *fields[3:7]].append(triple)
    contexts: dict[str, list[Triples]] = defaultdict(list)
    for (context, phone, other, speaker, another), triples in sorted(groups.items()):
        a, b, x = np.array(triples, np.int64).T
        contexts[context].append(Triples(context, (phone, other), (speaker, another), a, b, x))
    return Task([Item(name, None, None) for name in numbers], list(contexts.values()))
