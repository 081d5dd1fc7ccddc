"""The recordings that `evaluate` takes: of a folder or a list, and which of them the page plays."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from sqcodec.corpus.folder import find_recordings, read_list
from sqcodec.corpus.librispeech import read_set
from sqcodec.corpus.splits import Utterance
from sqcodec.errors import CorpusError


def find_set(name: str, data: Path | None, list_file: Path | None, *, words: bool) -> tuple[Utterance, ...]:
    """The recordings of a set of LibriSpeech in the folder `data`; words: whether each must have its words.

    Raises CorpusError: no folder, or a list; otherwise as `read_set`.
    """
    if data is None or list_file is not None:
        raise CorpusError(f"`protocol` {name} takes the folder of LibriSpeech, expected `data` DIR and no `list_file`")
    return read_set(data, name, words=words)


def find_utterances(data: Path | None, list_file: Path | None, *, without: Path) -> tuple[Utterance, ...]:
    """Recordings of a list with path, speaker and split (its paths below `data`, where given), or below a folder.

    A recording's folder is the speaker where there is no list.

    without: a folder whose recordings are left out: earlier results may lie in the very folder that is evaluated.
    Raises CorpusError: neither, or nothing found.
    """
    if data is not None and not data.is_dir():
        raise CorpusError(f"{data}: got no such folder, expected a folder of recordings")
    if list_file is not None:
        return _some(_named_within(read_list(list_file, data).utterances), list_file)
    if data is None:
        raise CorpusError("got neither recordings nor a list of them, expected `data` DIR, `list_file` TSV or both")
    return _some(
        [
            Utterance(name=name, path=path, speaker=path.parent.name, split="data")
            for name, path in find_recordings(data).items()
            if not path.resolve().is_relative_to(without.resolve())
        ],
        data,
    )


def _some(utterances: Sequence[Utterance], source: Path) -> tuple[Utterance, ...]:
    """Raises CorpusError: there are none."""
    if not utterances:
        raise CorpusError(f"{source}: got no recordings (earlier results do not count), expected at least one")
    return tuple(utterances)


def _named_within(utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """The same with names that stay below the results' folder: a list may hold absolute paths, or climb with `..`."""
    named: dict[str, Utterance] = {}
    for utterance in utterances:
        path = PurePath(utterance.name)
        name = "/".join(part for part in path.parts if part not in (path.anchor, ".."))
        if name in named:
            raise CorpusError(f"{utterance.path}: has the same name as {named[name].path}: {name}; remove one")
        named[name] = replace(utterance, name=name)
    return tuple(named.values())


def spread(utterances: Sequence[Utterance], count: int) -> tuple[str, ...]:
    """Names of `count` utterances, evenly spaced in the list."""
    numbers = np.linspace(0, len(utterances) - 1, min(count, len(utterances))).round().astype(int)
    return tuple(utterances[number].name for number in numbers)


def credits_of(utterances: Sequence[Utterance], names: Sequence[str]) -> dict[str, str]:
    """The credit of each of `names`."""
    return {utterance.name: utterance.credit for utterance in utterances if utterance.name in names}
