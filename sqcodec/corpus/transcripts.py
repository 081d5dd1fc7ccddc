"""Transcripts that lie beside recordings, as LibriTTS, LibriSpeech and forced aligners keep them."""

from functools import lru_cache
from pathlib import Path

from sqcodec.errors import CorpusError

_SUFFIXES = (".normalized.txt", ".txt", ".lab")  # of a file of one recording, the best first
_LISTS = "*.trans.txt"  # lists of a folder: a name and its words on each line


def transcript_of(recording: Path) -> str | None:
    """What is said in a recording `a.wav`: `a.normalized.txt`, `a.txt`, `a.lab`, or the line of `a` in a `*.trans.txt`
    of its folder; None: none of these is there. Raises CorpusError: it cannot be read, or is not UTF-8."""
    for path in transcript_files(recording):
        if path.stem.endswith(".trans"):
            words = _lines(path, _stamp(path)).get(recording.stem)
        else:
            words = " ".join(_text(path).split())
        if words is not None:
            return words
    return None


def transcript_files(recording: Path) -> list[Path]:
    """The files that `transcript_of` may read, the best first."""
    beside = [recording.with_name(recording.stem + suffix) for suffix in _SUFFIXES]
    return [path for path in beside if path.is_file()] + _lists(recording.parent, _stamp(recording.parent))


@lru_cache(maxsize=16)
def _lists(folder: Path, _at: tuple[int, int]) -> list[Path]:
    return sorted(folder.glob(_LISTS))


@lru_cache(maxsize=16)
def _lines(path: Path, _at: tuple[int, int]) -> dict[str, str]:
    """name -> words."""
    lines = [line.split(maxsplit=1) for line in _text(path).splitlines()]
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def _stamp(path: Path) -> tuple[int, int]:
    """Changes with the file or folder, so that what is remembered of it is true."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: not a transcript in UTF-8 ({error}); convert or remove it") from None
