"""Transcripts that lie beside recordings, as LibriTTS, LibriSpeech and forced aligners keep them."""

from functools import lru_cache
from pathlib import Path

from sqcodec.corpus.recordings import files_in
from sqcodec.errors import CorpusError

_SUFFIXES = (".normalized.txt", ".txt", ".lab")  # of a file of one recording, the best first
_LISTS = ".trans.txt"  # a list of a folder: a name and its words on each line


def transcript_of(recording: Path) -> str | None:
    """What is said in a recording `a.wav`: `a.normalized.txt`, `a.txt`, `a.lab`, or the line of `a` in a `*.trans.txt`
    of its folder; None: none of these is there. Raises CorpusError: it cannot be read, or is not UTF-8."""
    for suffix in _SUFFIXES:
        beside = recording.with_name(recording.stem + suffix)
        if beside.is_file():
            return " ".join(_text(beside).split())
    return _listed(recording.parent).get(recording.stem)


@lru_cache(maxsize=16)
def _listed(folder: Path) -> dict[str, str]:
    """name -> words, of all lists in a folder."""
    lists = [path for path in files_in(folder, {".txt"}) if path.name.endswith(_LISTS)]
    lines = [line.split(maxsplit=1) for path in lists for line in _text(path).splitlines()]
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as a transcript in UTF-8 ({error}); repair or remove it") from None
