"""The rows of an export: the codes of a recording as token ids, with what the decoder and a language model need."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sqcodec.codes import LOUDEST, Codes
from sqcodec.errors import CodesError
from sqcodec.layouts import LAYOUTS, LayoutName

VERSION = 1
META = "meta.json"
IDS = "int32"  # type of the ids
ExportFormat = Literal["jsonl", "parquet", "webdataset"]


@dataclass(frozen=True, kw_only=True)
class ExportMeta:
    """What all rows of an export have in common: its `meta.json`.

    form: of the shards. codewords: V of each of the K codebooks. model, fingerprint, licence: of the model that wrote
    the codes (licence None: its card names none). frame_rate: per second; samples_per_frame: at sample_rate, Hz.
    """

    form: ExportFormat
    layout: LayoutName
    offset: int
    codewords: tuple[int, ...]
    sample_rate: int
    samples_per_frame: int
    model: str
    fingerprint: str
    licence: str | None
    rows_per_shard: int

    @property
    def pad(self) -> int | None:
        """The id that stands where there is no code; None: the layout has none."""
        return self.offset + max(self.codewords) if LAYOUTS[self.layout].padded else None

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values, with what follows from it."""
        bits = sum((codewords - 1).bit_length() for codewords in self.codewords)
        frame_rate = self.sample_rate / self.samples_per_frame
        return {
            "sqcodec_export": VERSION,
            **asdict(self),
            "codewords": [*self.codewords],
            "frame_rate": frame_rate,
            "bit_rate": frame_rate * bits,
            "pad": self.pad,
            "vocabulary": self.offset + LAYOUTS[self.layout].vocabulary(self.codewords),
        }


class Row(NamedTuple):
    """A row. speaker: of the corpus; text: what is said; None: not known."""

    name: str
    speaker: str | None
    text: str | None
    codes: Codes


def read_meta(folder: Path) -> ExportMeta:
    """The `meta.json` of an export. Raises CodesError: there is none, or it is damaged or newer."""
    path = folder / META
    try:
        tree = json.loads(path.read_text("utf-8"))
        if tree["sqcodec_export"] > VERSION:
            raise CodesError(
                f"{path}: export format {tree['sqcodec_export']}, this sqcodec reads up to {VERSION}: install a newer"
            )
        values = {name: tree[name] for name in ExportMeta.__dataclass_fields__}
        meta = ExportMeta(**values | {"codewords": tuple(map(int, tree["codewords"]))})
        known = isinstance(meta.fingerprint, str) and meta.form in get_args(ExportFormat) and meta.layout in LAYOUTS
        numbers = (meta.sample_rate, meta.samples_per_frame, *meta.codewords, meta.offset + 1)
        if not (known and meta.codewords and all(type(number) is int and number > 0 for number in numbers)):
            raise ValueError
    except OSError as error:
        raise CodesError(
            f"{path}: cannot be read ({error.strerror}); it says what the rows beside it hold: export again"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise CodesError(f"{path}: not what 'sqcodec export' writes: export again") from None
    return meta


def tree_of(row: Row, meta: ExportMeta) -> dict[str, Any]:
    """A row as plain values, and `audio_codes`, an array int32 [n] or [K, ...]. Raises CodesError: other codebooks."""
    codes = row.codes
    ids = LAYOUTS[meta.layout].arrange(codes.indices, meta.codewords, stages=codes.stages, offset=meta.offset)
    return {
        "name": row.name,
        "speaker": row.speaker,
        "text": row.text,
        "seconds": codes.seconds,
        "samples": codes.samples,
        "sample_rate": codes.sample_rate,
        "gain": codes.gain,
        "model_speaker": codes.speaker,
        "frames": codes.indices.shape[1],
        "stages": None if codes.stages is None else codes.stages.tolist(),
        "audio_codes": ids.astype(IDS),
    }


def codes_of(tree: Mapping[str, Any], meta: ExportMeta, where: str) -> Codes:
    """The codes of a row, of which only `audio_codes` must be there: a language model's rows have no length.

    Without `samples` the row is of whole codes, as a bare array. Raises CodesError, naming `where`.
    """
    try:
        frames = LAYOUTS[meta.layout].restore(_ids(tree["audio_codes"]), meta.codewords, offset=meta.offset)
        stages = tree.get("stages")
        said = None if stages is None else np.array(stages, np.uint8)
    except CodesError as error:
        raise CodesError(f"{where}: {error}") from None
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CodesError(f"{where}: expected `audio_codes`, ids in the layout {meta.layout}") from None
    if not frames.codes.size:
        raise CodesError(f"{where}: got no ids, expected those of a frame or more")
    every_stage = np.full(frames.codes.shape[1], len(frames.codes), np.uint8)
    if said is not None and not np.array_equal(said, every_stage if frames.stages is None else frames.stages):
        raise CodesError(f"{where}: `stages` are not those of the ids; export again")
    whole = tree.get("samples") is None
    length = frames.codes.shape[1] * meta.samples_per_frame if whole else tree["samples"]
    rate, gain, speaker = tree.get("sample_rate"), tree.get("gain"), tree.get("model_speaker")
    if not (speaker is None or isinstance(speaker, str)):
        raise CodesError(f"{where}: got the speaker {speaker!r}, expected a name; export again")
    rate, gain = meta.sample_rate if rate is None else rate, 1.0 if gain is None else gain
    counts = all(type(number) is int and number > 0 for number in (length, rate))
    if not counts or type(gain) not in (int, float) or not 0 <= gain <= LOUDEST:
        raise CodesError(f"{where}: got samples {length}, sample_rate {rate}, gain {gain}; export again")
    return Codes(
        indices=frames.codes,
        samples=length,
        sample_rate=rate,
        gain=gain,
        speaker=speaker,
        fingerprint=None if whole else meta.fingerprint,
        stages=frames.stages,
    )


def _ids(values: Any) -> NDArray[np.int64]:
    ids = np.array(values)
    if ids.size and ids.dtype.kind not in "iu":
        raise ValueError
    return ids.astype(np.int64)
