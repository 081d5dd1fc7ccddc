"""A user's recordings: `<speaker>/<utterance>.<ext>` at any depth, or a list of paths, speakers and splits."""

import csv
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from sqcodec.corpus.recordings import files_below
from sqcodec.corpus.splits import Manifest, Recording, Utterance
from sqcodec.errors import CorpusError

COLUMNS = ["path", "speaker", "split"]
_USUAL_RATES = frozenset({16000, 22050, 24000, 32000, 44100, 48000})  # Hz


def walk(root: Path, test_fraction: float) -> Manifest:
    """Every recording below `root`; its folder is the speaker, its path without suffix the name.

    test_fraction: of each speaker's recordings, chosen by a hash of their names; at least one if there are two or more.
    Raises CorpusError: no recordings, or two with one name.
    """
    recordings = _recordings(root)
    if not recordings:
        raise CorpusError(
            f"{root}: got no recordings, expected <speaker>/<utterance>.wav (or .flac, .ogg, ...) below it"
        )
    _check_names(recordings)
    return _manifest(_hold_out(recordings, test_fraction), f"corpus.test_fraction={test_fraction} of {root}")


def find_recordings(root: Path) -> dict[str, Path]:
    """Every recording below `root` by its path without suffix. Raises CorpusError: none, or two with one name."""
    recordings = _recordings(root)
    if not recordings:
        raise CorpusError(f"{root}: got no recordings, expected .wav, .flac, .ogg, ... in it or below it")
    _check_names(recordings)
    return {recording.name: recording.path for recording in recordings}


def _recordings(root: Path) -> list[Recording]:
    return [
        Recording(path.relative_to(root).with_suffix("").as_posix(), path, path.parent.name)
        for path in files_below(root)
    ]


def read_list(path: Path, root: Path | None = None) -> Manifest:
    """The recordings of a tab-separated list with the columns path, speaker and split, and, if it has one, credit.

    root: the folder that the paths are relative to; None: that of the list.
    Raises CorpusError: no such file, other columns, a line with an empty field, or two recordings with one name.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns, lines = reader.fieldnames or [], list(reader)
    except OSError as error:
        raise CorpusError(f"{path}: no such list; expected a TSV with the columns {', '.join(COLUMNS)}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: not a TSV ({error}); expected the columns {', '.join(COLUMNS)}") from error
    if not set(COLUMNS) <= set(columns):
        raise CorpusError(
            f"{path}: got the columns {', '.join(columns) or 'none'}, expected {', '.join(COLUMNS)}, separated by tabs"
        )
    for number, line in enumerate(lines, 2):
        if not all(line[column] for column in COLUMNS):
            raise CorpusError(
                f"{path}, line {number}: an empty field; expected {', '.join(COLUMNS)}, separated by tabs"
            )
        if not Path(line["path"]).name or "\0" in line["path"]:
            raise CorpusError(f"{path}, line {number}: got the path {line['path']!r}, expected that of a recording")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", line["split"]):
            raise CorpusError(
                f"{path}, line {number}: got the split {line['split']!r}, expected a word such as train or test"
            )
    utterances = [
        Utterance(
            name=Path(line["path"]).with_suffix("").as_posix(),
            path=(path.parent if root is None else root) / line["path"],
            speaker=line["speaker"],
            split=line["split"],
            credit=line.get("credit") or "",
        )
        for line in lines
    ]
    _check_names([Recording(utterance.name, utterance.path, utterance.speaker) for utterance in utterances])
    return _manifest(utterances, str(path))


def _hold_out(recordings: Iterable[Recording], test_fraction: float) -> list[Utterance]:
    speakers: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        speakers[recording.speaker].append(recording)
    held = {name for own in speakers.values() for name in _held_of(own, test_fraction)}
    return [
        Utterance(name=name, path=path, speaker=speaker, split="test" if name in held else "train")
        for own in speakers.values()
        for name, path, speaker in own
    ]


def _held_of(own: list[Recording], test_fraction: float) -> set[str]:
    """Names of one speaker's test recordings; at least one recording stays for training."""
    names = sorted((recording.name for recording in own), key=_hash)
    if test_fraction == 0 or len(names) == 1:
        return set()
    count = sum(_hash(name) < test_fraction for name in names)
    return set(names[: min(max(count, 1), len(names) - 1)])


def _hash(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:6], "big") / 2**48


def _check_names(recordings: Iterable[Recording]) -> None:
    seen: dict[str, Path] = {}
    for recording in recordings:
        other = seen.setdefault(recording.name, recording.path)
        if other is not recording.path:
            raise CorpusError(f"{recording.path}: has the same name as {other}; names count without suffix, remove one")


def _manifest(utterances: Iterable[Utterance], source: str) -> Manifest:
    chosen = tuple(sorted(utterances, key=lambda utterance: (utterance.split, utterance.name)))
    splits = {utterance.split for utterance in chosen} | {"train", "test"}
    return Manifest(
        utterances=chosen, left_out=(), remarks=(), usual_rates=_USUAL_RATES, sources=dict.fromkeys(splits, source)
    )
