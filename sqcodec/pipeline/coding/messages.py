"""Voice messages: a recording as packets of at most so many bytes, each decodable alone."""

import glob
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqcodec.bitstream import message
from sqcodec.bitstream.rate_search import Latents
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.corpus.audio import AudioSource, RawFormat
from sqcodec.errors import CodesError, ModelError, SqcodecError
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.inputs import refuse_header
from sqcodec.pipeline.coding.notes import recording_notes
from sqcodec.pipeline.coding.outcomes import Encoded
from sqcodec.pipeline.coding.rate_control import DEFAULT_EFFORT, Effort, Fitted, Goal, fit
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.paths import check_target, shown, spooled, written
from sqcodec.recording import Recording

DEFAULT_BYTES = 230  # fits a packet of Meshtastic and of LXMF
DIGITS = 3  # of the number in a name, at least
_LEAST_BYTES = 16  # of a message: its header and a fifth of a second
_MIN_RATE = 600.0  # bit/s of a message: a recording that would have less is split


class EncodedMessages(NamedTuple):
    """The files that were written, and what they are together."""

    files: tuple[Path, ...]
    encoded: Encoded


def encode_messages(
    source: Path,
    target: Path,
    *,
    model: str | None = None,
    device: str = "auto",
    raw: RawFormat | None = None,
    max_bytes: int = DEFAULT_BYTES,
    effort: Effort | None = None,
) -> EncodedMessages:
    """Encode a recording to `target`, or to NAME-001.bin, NAME-002.bin, ... where one message does not hold it.

    effort: None: the default. Raises as `encode_file`; CodesError: no message of the model is as small; SqcodecError:
    other messages of this name are there.
    """
    check_target(source, target, [message.SUFFIX])
    with spooled(source) as path:
        refuse_header(path, raw)
        audio = AudioSource(path, raw)
        found = find_for_encoding(model)
        codec = open_codec(found.path, device)
        parts = list(fitted_messages(codec, audio, max_bytes, effort or DEFAULT_EFFORT))
    contents = [part.content for part in parts]
    files = tuple(_names(target, len(parts)))
    _check_names(source, target, files)
    with ExitStack() as drafts:  # all appear when all are written: parts of two encodings of one name would decode
        for file, content in zip(files, contents, strict=True):
            drafts.enter_context(written(file)).write_bytes(content)
    number, seconds = sum(part.codes.number for part in parts), audio.input_samples / audio.rate
    encoded = Encoded(
        seconds=seconds,
        codes=number,
        size=sum(map(len, contents)),
        nominal_bit_rate=codec.header.bit_rate(1) * number / sum(part.codes.indices.shape[1] for part in parts),
        speaker=None,
        speakers=0,
        speaker_searched=False,
        model=codec.path,
        model_reason=found.reason,
        notes=tuple(recording_notes(audio, shown(source))),
    )
    return EncodedMessages(files, encoded)


def fitted_messages(codec: Codec, recording: Recording, max_bytes: int, effort: Effort) -> Iterator[Fitted]:
    """Codes and bytes of each message of a recording: equal parts, each of the largest rate that fits.

    What is coded is the whole recording, so that the sound of all messages together has no seams. Raises ModelError:
    the model has no true rates; CodesError: so many bytes hold no message.
    """
    if not codec.has_true_rates or codec.speakers or codec.features.dynamic_range is not None:
        raise ModelError(
            f"{codec.path}: messages need a context model and features that hold the level, and no speakers; speech16k"
            " is one"
        )
    if max_bytes < _LEAST_BYTES:
        raise CodesError(f"`max_bytes` {max_bytes}: expected {_LEAST_BYTES} or more for a message")
    codes, latents = next(codec.encoder.latents([recording], speaker=None))
    longest = min(message.MAX_CODES, max(1, int(8 * max_bytes / _MIN_RATE * codec.features.code_rate)))
    total = codes.indices.shape[1]
    ends = np.linspace(0, total, math.ceil(total / longest) + 1).round().astype(int)
    for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        span = slice(start, stop)
        part = replace(
            codes,
            indices=codes.indices[:, span],
            samples=message.samples_of(stop - start, codec.features),
            sample_rate=codec.features.sample_rate,
        )
        goal = Goal(max_bytes=max_bytes, effort=effort)
        yield fit(
            part, Latents(latents.z[span], latents.weights[span]), codec.embeddings(), codec.space, goal, BLOCK,
            pack=lambda codes: message.pack(codes, codec.space),
        )  # fmt: skip


def _check_names(source: Path, target: Path, files: Sequence[Path]) -> None:
    """Raise SqcodecError: a message cannot be written, or others of this name are there, which would count as parts, or
    be taken for this recording."""
    for file in files:
        check_target(source, file, [message.SUFFIX])
    if len(files) == 1 and not numbered(target, 1).is_file():
        return
    others = target.parent.glob(f"{glob.escape(target.stem)}-[0-9]*{glob.escape(target.suffix)}")
    least = len(target.stem) + 1 + DIGITS
    parts = {path for path in others if path.stem[len(target.stem) + 1 :].isdecimal() and len(path.stem) >= least}
    if left := sorted((parts | ({target} if target.is_file() else set())) - {*files}):
        raise SqcodecError(
            f"{' '.join(map(str, left))}: left of another encoding, and would be taken for part of this one"
            f" ({len(files)} file{'s' if len(files) > 1 else ''}); remove what is left, or write to another name"
        )


def _names(target: Path, number: int) -> Iterator[Path]:
    if number == 1:
        yield target
        return
    digits = max(DIGITS, len(str(number)))  # their names sort as their numbers do
    for each in range(1, number + 1):
        yield numbered(target, each, digits)


def numbered(target: Path, number: int, digits: int = DIGITS) -> Path:
    """NAME-003.bin."""
    return target.with_name(f"{target.stem}-{number:0{digits}d}{target.suffix}")
