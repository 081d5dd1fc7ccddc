"""Notes for the user on results that are right, but not as one may expect: by kind, with an example of each."""

from collections.abc import Iterable
from typing import NamedTuple

from sqcodec.corpus.audio import AudioSource


class Note(NamedTuple):
    """A note on one file. kind: what notes are counted by; text: one line."""

    kind: str
    text: str


class NoteCount(NamedTuple):
    """How many files have a note of a kind, and the text of the first of them."""

    kind: str
    files: int
    example: str


def recording_notes(audio: AudioSource, where: str) -> list[Note]:
    """The notes on a recording that was read to its end; `where`: its name for messages."""
    return [Note(remark.kind, f"{where}: {remark.detail}") for remark in audio.remarks]


def note(kind: str, text: str) -> list[Note]:
    """A list of this note; empty if the text is empty."""
    return [Note(kind, text)] if text else []


def count_notes(notes: Iterable[Note]) -> list[NoteCount]:
    """The kinds of notes of many files, with the number of files and the first text in order."""
    texts: dict[str, list[str]] = {}
    for each in notes:
        texts.setdefault(each.kind, []).append(each.text)
    return [NoteCount(kind, len(listed), min(listed)) for kind, listed in sorted(texts.items())]
