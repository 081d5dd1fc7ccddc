"""Transcripts that lie beside recordings, as LibriTTS, LibriSpeech and forced aligners keep them."""

from functools import lru_cache
from pathlib import Path

from sqcodec.errors import CorpusError
from sqcodec.stamps import Stamp, stamp_of

_SUFFIXES = (".normalized.txt", ".txt", ".lab")  # of a file of one recording, the best first
_LISTS = "*.trans.txt"  # lists of a folder: a name and its words on each line


def transcript_of(recording: Path) -> str | None:
    """What is said in a recording `a.wav`: `a.normalized.txt`, `a.txt`, `a.lab`, or the line of `a` in a `*.trans.txt`
    of its folder; None: none of these is there. Raises CorpusError: it cannot be read, or is not UTF-8."""
    for path in transcript_files(recording):
        if path.stem.endswith(".trans"):
            words = _lines(path, stamp_of(path)).get(recording.stem)
        else:
            words = " ".join(_text(path).split())
        if words is not None:
            return words
    return None


def transcript_files(recording: Path) -> list[Path]:
    """The files that `transcript_of` may read, the best first."""
    beside = [recording.with_name(recording.stem + suffix) for suffix in _SUFFIXES]
    return [path for path in beside if path.is_file()] + _lists(recording.parent, stamp_of(recording.parent))


@lru_cache(maxsize=16)
def _lists(folder: Path, _at: Stamp | None) -> list[Path]:
    return sorted(folder.glob(_LISTS))


@lru_cache(maxsize=16)
def _lines(path: Path, _at: Stamp | None) -> dict[str, str]:
    """name -> words."""
    lines = [line.split(maxsplit=1) for line in _text(path).splitlines()]
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: not a transcript in UTF-8 ({error}); convert or remove it") from None
