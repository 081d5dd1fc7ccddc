"""What coding a file or a folder gave, for texts and for JSON."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from sqcodec.pipeline.coding.notes import Note, NoteCount, count_notes
from sqcodec.stamps import Stamp


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The result of `encode_file`.

    seconds: of sound. codes: over all codebooks. size: bytes of the file. nominal_bit_rate: bit/s. speakers: how many
    the model has. speaker_searched: whether `speaker` was not given, and the nearest was taken. model_reason: why this
    model ("": it was named). stamp: of the file.
    """

    seconds: float
    codes: int
    size: int
    nominal_bit_rate: float
    speaker: str | None
    speakers: int
    speaker_searched: bool
    model: Path
    model_reason: str
    notes: tuple[Note, ...]
    stamp: Stamp | None = None

    @property
    def bit_rate(self) -> float:
        """Actual bit/s of the file with its header."""
        return 8 * self.size / self.seconds

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return _plain(self) | {"bit_rate": self.bit_rate}


class Span(NamedTuple):
    """A lost part of a recording, in seconds."""

    start: float
    stop: float


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in their order, those that follow each other at once as one."""
    found: list[Span] = []
    for span in spans:
        if found and span.start <= found[-1].stop:
            found[-1] = found[-1]._replace(stop=span.stop)
        else:
            found.append(span)
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The result of `decode_file`: samples at sample_rate (Hz). lost: parts that `recover` replaced by silence."""

    samples: int
    sample_rate: int
    speaker: str | None
    model: Path
    notes: tuple[Note, ...]
    lost: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return self.samples / self.sample_rate

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return _plain(self) | {"seconds": self.seconds, "lost": [span._asdict() for span in self.lost]}


def _plain(result: Encoded | Decoded) -> dict[str, Any]:
    fields = {key: value for key, value in asdict(result).items() if key != "stamp"}
    return {**fields, "model": str(result.model), "notes": [each._asdict() for each in result.notes]}


Outcome = Literal["new", "redone", "kept", "failed"]


class FileResult(NamedTuple):
    """One file of a folder. seconds, size (bytes of codes): of what was written now; reason: why it failed."""

    source: str
    output: str
    outcome: Outcome
    seconds: float
    size: int
    notes: tuple[Note, ...]
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class FolderResult:
    """The result for a folder, sorted by source; notes: those on no single file."""

    files: tuple[FileResult, ...]
    notes: tuple[str, ...]

    def count(self, outcome: Outcome) -> int:
        """Number of files with this outcome."""
        return sum(file.outcome == outcome for file in self.files)

    @property
    def seconds(self) -> float:
        """Duration of what was written now."""
        return sum(file.seconds for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of the codes that were written or read now."""
        return sum(file.size for file in self.files)

    @property
    def failed(self) -> tuple[FileResult, ...]:
        """The files that failed."""
        return tuple(file for file in self.files if file.outcome == "failed")

    @property
    def note_counts(self) -> list[NoteCount]:
        """The notes on single files, counted by kind."""
        return count_notes(each for file in self.files for each in file.notes)

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            **{outcome: self.count(outcome) for outcome in get_args(Outcome)},
            "seconds": self.seconds,
            "size": self.size,
            "notes": [*self.notes],
            "notes_by_kind": [counted._asdict() for counted in self.note_counts],
            "files": [file._asdict() | {"notes": [each._asdict() for each in file.notes]} for file in self.files],
        }
