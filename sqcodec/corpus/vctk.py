"""VCTK, releases 0.92 (two microphones, FLAC) and 0.80 (one microphone, WAV): https://doi.org/10.7488/ds/2645."""

import re
from pathlib import Path

from sqcodec.corpus.recordings import files_below
from sqcodec.corpus.splits import Manifest, Note, Recording, assign
from sqcodec.errors import CorpusError

USUAL_RATES = frozenset({48000})  # Hz
USUAL_ROOTS = ("VCTK-Corpus-0.92", "VCTK-Corpus")  # folders that releases 0.92 and 0.80 are unpacked to
EXPECTED = (
    "wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic1.flac (release 0.92)"
    " or wav48/<speaker>/*.wav (release 0.80)"
)
FETCH = "'sqcodec prep vctk' with `data` {root} and `fetch` downloads it (10.9 GiB)"
_FOLDERS = ("wav48_silence_trimmed", "wav48")
_NAME = re.compile(r"(?P<id>(?P<speaker>[A-Za-z0-9]+)_\d+)(?:_mic(?P<mic>[12]))?\.(?:flac|wav)", re.IGNORECASE)


def missing(root: Path) -> CorpusError:
    """The error text if there is no VCTK."""
    got = "no VCTK recordings" if root.is_dir() else "no such folder"
    return CorpusError(f"{root}: got {got}, expected {EXPECTED}; {FETCH.format(root=root)}")


def audio_folder(root: Path) -> Path | None:
    """The folder with the speakers' folders, in the corpus itself or in the folder that holds the corpus."""
    parents = [root, *sorted(root.glob("VCTK-Corpus*"), reverse=True)]
    return next((parent / name for parent in parents for name in _FOLDERS if (parent / name).is_dir()), None)


def walk(root: Path, splits: dict[str, Path], *, microphone: int) -> Manifest:
    """Every recording of one microphone, found by its audio, never by its transcript (p315 has none).

    microphone: 1 or 2 of release 0.92; release 0.80 has one. Recordings that only the other microphone made (p280 and
    p315 for microphone 2) are left out with a note. Names are ids such as p225_001, as in the split files.
    Raises CorpusError: no recordings, none of this microphone, or a wrong split file.
    """
    folder = audio_folder(root)
    found = _recordings(folder) if folder else {}
    if not found:
        raise missing(root)
    chosen = {identity: by_mic[microphone] for identity, by_mic in found.items() if microphone in by_mic}
    if not chosen:
        raise CorpusError(
            f"{folder}: got no recordings of microphone {microphone} (release 0.80 has one);"
            f" use `overrides` corpus.microphone={3 - microphone}"
        )
    return assign(
        chosen.values(), splits, usual_rates=USUAL_RATES, left_out=_other_microphone_only(found, chosen, microphone)
    )


def _recordings(folder: Path) -> dict[str, dict[int, Recording]]:
    """Id -> microphone -> recording; a file without a microphone in its name counts as microphone 1."""
    found: dict[str, dict[int, Recording]] = {}
    for path in files_below(folder):
        if (parsed := _NAME.fullmatch(path.name)) and path.parent.parent == folder:
            recording = Recording(parsed["id"], path, path.parent.name)
            found.setdefault(parsed["id"], {}).setdefault(int(parsed["mic"] or 1), recording)
    return found


def _other_microphone_only(
    found: dict[str, dict[int, Recording]], chosen: dict[str, Recording], microphone: int
) -> list[Note]:
    """One note for a speaker without this microphone, one for each single recording without it."""
    speakers = {recording.speaker for recording in chosen.values()}
    reason, notes = f"no microphone {microphone}", {}
    for identity in found.keys() - chosen.keys():
        speaker = next(iter(found[identity].values())).speaker
        if speaker in speakers:
            notes[identity] = Note(identity, reason, f"only microphone {3 - microphone} recorded it")
        else:
            notes[speaker] = Note(speaker, reason, f"only microphone {3 - microphone} recorded this speaker")
    return [notes[name] for name in sorted(notes)]
