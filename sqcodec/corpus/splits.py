"""Which recording belongs to which split: text files with one utterance, speaker or folder per line."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sqcodec.errors import CorpusError


class Variation(NamedTuple):
    """How a copy of a recording is changed (`sqcodec.corpus.variations`).

    factor: of pitch and formants; ratio: dB of the speech over the noise; noise, room: paths of recordings; position:
    where in the noise it begins, from 0 to 1.
    """

    kind: str
    factor: float = 1.0
    ratio: float = 0.0
    noise: str | None = None
    position: float = 0.0
    room: str | None = None


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recording of a corpus: `path` on disk, unique `name` (no suffix, `/` between folders), speaker and split.

    credit: whom to name where the recording is played, "" for nobody. variation: of a copy; None: as recorded.
    """

    name: str
    path: Path
    speaker: str
    split: str
    credit: str = ""
    variation: Variation | None = None


class Recording(NamedTuple):
    """A recording that a walker found, not yet in a split. name: unique in the corpus, without suffix."""

    name: str
    path: Path
    speaker: str


class Note(NamedTuple):
    """Why a recording or speaker is left out of a store."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a corpus offers: utterances in splits; recordings left out, with reasons; lines about the lists.

    usual_rates: Hz, sample rates that need no mention. sources: split -> where its entries come from, for messages.
    """

    utterances: tuple[Utterance, ...]
    left_out: tuple[Note, ...]
    remarks: tuple[str, ...]
    usual_rates: frozenset[int]
    sources: dict[str, str]


def read_split(path: Path) -> list[str]:
    """The entries of a split file: one per line, `#` starts a comment.

    Raises CorpusError: no such file, or it is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise CorpusError(
            f"{path}: no such split file; the recipe's corpus.splits names it ('sqcodec recipe copy' takes lists along)"
        ) from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 ({error}); save it so") from error
    return [entry for line in lines if (entry := line.partition("#")[0].strip())]


def assign(
    recordings: Iterable[Recording],
    splits: dict[str, Path],
    *,
    usual_rates: frozenset[int],
    left_out: Iterable[Note] = (),
) -> Manifest:
    """Put each recording into the split that lists it: by utterance, else by speaker, else by the innermost folder.

    Raises CorpusError: an entry is in two split files, or a file is missing.
    """
    owner = _owners(splits)
    used: set[str] = set()
    utterances, unlisted = [], 0
    for recording in sorted(recordings):
        keys = _keys(recording)
        used.update(key for key in keys if key in owner)
        split = next((owner[key] for key in keys if key in owner), None)
        if split is None:
            unlisted += 1
        else:
            utterances.append(
                Utterance(name=recording.name, path=recording.path, speaker=recording.speaker, split=split)
            )
    remarks = [_without_audio(split, path, owner, used) for split, path in splits.items()]
    remarks.append(f"{unlisted} recording(s) are in no split and left out" if unlisted else "")
    return Manifest(
        utterances=tuple(utterances),
        left_out=tuple(left_out),
        remarks=tuple(remark for remark in remarks if remark),
        usual_rates=usual_rates,
        sources={split: str(path) for split, path in splits.items()},
    )


def _owners(splits: dict[str, Path]) -> dict[str, str]:
    owner: dict[str, str] = {}
    for split, path in splits.items():
        for entry in read_split(path):
            other = owner.setdefault(entry, split)
            if other != split:
                raise CorpusError(
                    f"{path}: {entry!r} is in {splits[other]} too; an entry belongs to one split, remove one"
                )
    return owner


def _keys(recording: Recording) -> list[str]:
    """The entries that may list a recording, the most specific first."""
    path = PurePosixPath(recording.name)
    folders = [f"{parent}/" for parent in path.parents if parent != PurePosixPath(".")]
    return [recording.name, path.name, recording.speaker, *folders]


def _without_audio(split: str, path: Path, owner: dict[str, str], used: set[str]) -> str:
    entries = {entry for entry, owned_by in owner.items() if owned_by == split}
    absent = sorted(entries - used)
    if not absent:
        return ""
    some = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
    return f"{split}: {len(absent)} of {len(entries)} entries of {path} have no audio here ({some})"
