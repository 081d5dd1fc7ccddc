"""Voice messages: a recording as packets of at most so many bytes, each decodable alone; several to one sound."""

import glob
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqcodec.bitstream import message, npy
from sqcodec.bitstream.rate_search import Latents
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.codes import Codes
from sqcodec.corpus.audio import AudioSource, RawEncoding, RawFormat
from sqcodec.errors import CodesError, ModelError, SqcodecError
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.codes_files import Opened
from sqcodec.pipeline.coding.files import decode_with
from sqcodec.pipeline.coding.notes import note, recording_notes
from sqcodec.pipeline.coding.outcomes import Decoded, Encoded
from sqcodec.pipeline.coding.rate_control import DEFAULT_EFFORT, Effort, Fitted, Goal, fit
from sqcodec.pipeline.coding.sound_files import SOUND_FORMATS, clipping_note
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.paths import check_target, shown, spooled, written
from sqcodec.recording import Recording

DEFAULT_BYTES = 230  # fits a packet of Meshtastic and of LXMF
_DIGITS = 3  # of the number in a name, at least
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
    messages of higher numbers are there.
    """
    check_target(source, target, [message.SUFFIX])
    with spooled(source) as path:
        audio, found = AudioSource(path, raw), find_for_encoding(model)
        codec = open_codec(found.path, device)
        parts = list(fitted_messages(codec, audio, max_bytes, effort or DEFAULT_EFFORT))
    contents = [part.content for part in parts]
    files = tuple(_names(target, len(parts)))
    _check_names(source, target, files)
    for file, content in zip(files, contents, strict=True):
        with written(file) as draft:
            draft.write_bytes(content)
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
    the model has no true rates.
    """
    if not codec.has_true_rates or codec.speakers or codec.features.dynamic_range is not None:
        raise ModelError(
            f"{codec.path}: messages need a context model and features that hold the level, and no speakers; speech16k"
            " is one"
        )
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


def decode_messages(
    sources: Sequence[Path],
    target: Path,
    *,
    model: str | None = None,
    vocoder: str | None = None,
    rate: int | None = None,
    device: str = "auto",
    raw: RawEncoding | None = None,
) -> Decoded:
    """Decode messages, in the order in which they are given, to one sound.

    model: None: that `encode` would use, for a message names its model in one byte. Raises as `decode_file`.
    """
    check_target(sources[0], target, (".raw", ".pcm") if raw else SOUND_FORMATS)
    codec = open_codec(find_for_encoding(model).path, device)
    codes = joined([message.unpack(_read(path), codec.space, where=str(path)) for path in sources], codec)
    rate = rate or codec.sample_rate
    where = str(sources[0])
    result = decode_with(
        Opened(codec, codes, ()), target, where=where, speaker=None, vocoder=vocoder, rate=rate, raw=raw
    )
    notes = (*note("vocoder", codec.vocoder(vocoder).note), *note("limited", clipping_note(result, str(target))))
    return Decoded(
        samples=result.samples, sample_rate=rate, speaker=None, model=codec.path, notes=tuple(notes), lost=()
    )


def _read(path: Path) -> bytes:
    """A message's bytes. Raises CodesError: it cannot be read, or there are several of that name."""
    firsts = (_numbered(path, 1, digits) for digits in range(_DIGITS, 2 * _DIGITS))
    if not path.exists() and (first := next((each for each in firsts if each.exists()), None)):
        every = path.with_name(f"{path.stem}-*{path.suffix}")
        raise CodesError(f"{path}: is not there, but {first} is: decode all of them, {every}")
    return npy.read_bytes(path)


def joined(parts: Sequence[Codes], codec: Codec) -> Codes:
    """The codes of several messages, one after the other. Raises CodesError: there are none."""
    if not parts:
        raise CodesError("got no messages")
    books, lengths = max(len(part.indices) for part in parts), [part.indices.shape[1] for part in parts]
    stages = np.concatenate([
        np.full(length, len(part.indices), np.uint8) if part.stages is None else part.stages
        for part, length in zip(parts, lengths, strict=True)
    ])  # fmt: skip
    rows = [np.pad(part.indices, ((0, books - len(part.indices)), (0, 0))) for part in parts]
    return replace(
        parts[0],
        indices=np.concatenate(rows, axis=1),
        samples=message.samples_of(sum(lengths), codec.features),
        gain=max(part.gain for part in parts),
        stages=stages,
    )


def _check_names(source: Path, target: Path, files: Sequence[Path]) -> None:
    """Raise SqcodecError: a message cannot be written, or higher numbers are there, which would count as parts."""
    for file in files:
        check_target(source, file, [message.SUFFIX])
    if len(files) == 1:
        return
    numbered = target.parent.glob(f"{glob.escape(target.stem)}-[0-9]*{glob.escape(target.suffix)}")
    last, least = files[-1].stem, len(target.stem) + 1 + _DIGITS
    parts = (path for path in numbered if path.stem[len(target.stem) + 1 :].isdecimal() and len(path.stem) >= least)
    if left := sorted(path for path in parts if len(path.stem) != len(last) or path.stem > last):
        raise SqcodecError(
            f"{' '.join(map(str, left))}: left of another encoding, and would be decoded with these {len(files)};"
            " remove what is left, or write to another name"
        )


def _names(target: Path, number: int) -> Iterator[Path]:
    if number == 1:
        yield target
        return
    digits = max(_DIGITS, len(str(number)))  # their names sort as their numbers do
    for each in range(1, number + 1):
        yield _numbered(target, each, digits)


def _numbered(target: Path, number: int, digits: int = _DIGITS) -> Path:
    return target.with_name(f"{target.stem}-{number:0{digits}d}{target.suffix}")
