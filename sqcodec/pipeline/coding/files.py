"""Encode and decode files; `-` is standard input or output."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import npy, sqc
from sqcodec.bitstream.shard_file import is_shard
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.corpus.audio import AudioSource, RawEncoding, RawFormat
from sqcodec.errors import SqcodecError
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.codes_files import (
    Opened,
    bare_array_note,
    exported_row,
    find_model,
    open_excerpt,
    spooled_codes,
)
from sqcodec.pipeline.coding.excerpts import WHOLE, Excerpt
from sqcodec.pipeline.coding.inputs import refuse_header
from sqcodec.pipeline.coding.notes import note, recording_notes
from sqcodec.pipeline.coding.outcomes import Decoded, Encoded, Span
from sqcodec.pipeline.coding.rate_control import Options
from sqcodec.pipeline.coding.sound_files import SOUND_FORMATS, Written, clipping_note, sound_format, write_sound
from sqcodec.pipeline.coding.watched import ShowProgress, WatchedRecording, watched
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.paths import check_target, is_pipe, is_special, shown, spooled, written
from sqcodec.resampling import check_rate, resampled
from sqcodec.runtime.threads import one_thread
from sqcodec.stamps import stamp_of
from sqcodec.vocoder.interface import VocoderPrecision

CodesFormat = Literal["sqc", "npy"]
CODES_SUFFIXES = (".sqc", ".npy")
_RAW_SUFFIXES = (".raw", ".pcm")


def encode_file(
    source: Path,
    target: Path,
    *,
    model: str | None = None,
    speaker: str | None = None,
    device: str = "auto",
    form: CodesFormat | None = None,
    raw: RawFormat | None = None,
    codebooks: int | None = None,
    bit_rate: float | None = None,
    dtype: npy.Dtype | None = None,
    block: float | None = None,
    progress: ShowProgress | None = None,
    options: Options | None = None,
) -> Encoded:
    """Encode a recording to a codes file. The file is complete or absent.

    form: format of the file; None: by the suffix, `.sqc` without one. dtype: of the codes in an `.npy`; None: uint16.
    codebooks, bit_rate, or options: what is asked of the file. block: seconds of a
    block of a `.sqc`, of which damage costs one; None: 10. raw: format of a `source` without a header.
    Raises AudioError: the recording cannot be read; ModelError: no model; CodesError: unknown speaker, or it cannot be
    such a file; SqcodecError: the target cannot be written.
    """
    check_target(source, target, CODES_SUFFIXES)
    form = _codes_format(target, form)
    check_dtype(dtype, form)
    check_coder(options, form)
    check_block(block, form)
    with spooled(source) as path:
        refuse_header(path, raw)
        audio = AudioSource(path, raw)
        found = find_for_encoding(model)
        codec = open_codec(found.path, device)
        asked = options or Options(codebooks=codebooks, bit_rate=bit_rate)
        result = encode_with(
            codec, audio, target, speaker=speaker, form=form, options=asked, dtype=dtype,
            block=block, progress=progress,
        )  # fmt: skip
    notes = (result.notes, recording_notes(audio, shown(source)))
    return replace(result, model_reason=found.reason, notes=tuple(each for listed in notes for each in listed))


def bit_rate_note(codec: Codec, bit_rate: float | None) -> str:
    """The note on a nominal bit rate above the model's highest; "" for any other."""
    if bit_rate is None or bit_rate <= codec.bit_rate:
        return ""
    return f"`bitrate` {bit_rate:g}: the model's highest is {codec.bit_rate:g} bit/s, which is used"


def raw_format(encoding: RawEncoding | None, sample_rate: int | None) -> RawFormat | None:
    """The format of samples without a header; None if one of the two is missing."""
    return RawFormat(encoding, sample_rate) if encoding and sample_rate else None


def encode_with(
    codec: Codec,
    audio: AudioSource,
    target: Path,
    *,
    speaker: str | None,
    form: CodesFormat,
    options: Options,
    dtype: npy.Dtype | None,
    block: float | None,
    progress: ShowProgress | None = None,
) -> Encoded:
    """As `encode_file`, with an open model. The notes are those on the bit rate."""
    recording = WatchedRecording(audio, codec.engine.device, progress) if progress else audio
    length = BLOCK if block is None else min(BLOCK, round(block * codec.space.features.code_rate))
    goal = options.goal(form, context_model=codec.has_true_rates)
    if goal is None:
        codebooks = codec.codebooks_for(codebooks=options.codebooks, bit_rate=options.bit_rate)
        codes = codec.encode_recording(recording, speaker=speaker, codebooks=codebooks)
        text = bit_rate_note(codec, options.bit_rate)
        if form == "npy":
            content = npy.pack(codes, dtype or "uint16")
        else:
            with one_thread():
                content = sqc.pack(codes, codec.space, coder=options.coder, block=length)
    else:
        codes, content, text = codec.encode_for(recording, goal, speaker=speaker, block=length)
    with written(target) as draft:
        draft.write_bytes(content)
        stamp = stamp_of(draft)
    return Encoded(
        seconds=codes.seconds,
        codes=codes.number,
        size=len(content),
        nominal_bit_rate=codec.header.bit_rate(1) * codes.number / codes.indices.shape[1],
        speaker=codes.speaker,
        speakers=len(codec.speakers),
        speaker_searched=speaker is None,
        model=codec.path,
        model_reason="",
        notes=tuple(note("bit rate", text)),
        stamp=stamp,
    )


def decode_file(
    source: Path,
    target: Path,
    *,
    model: str | None = None,
    speaker: str | None = None,
    vocoder: str | None = None,
    rate: int | None = None,
    device: str = "auto",
    recover: bool = False,
    row: str | None = None,
    raw: RawEncoding | None = None,
    progress: ShowProgress | None = None,
    precision: VocoderPrecision = "float32",
    program: bool = False,
    excerpt: Excerpt = WHOLE,
) -> Decoded:
    """Decode a codes file to a sound file at `rate` Hz (None: the model's). The file is complete or absent.

    recover: decode the intact blocks of a damaged `.sqc`; the others become silence, and `lost` lists them. raw: write
    samples without a header. precision: of the vocoder's network; bfloat16 is quicker on some GPUs and processors, and
    sounds different on each. row: number or name of a row, where `source` is a shard of an export (None: its only one).
    program: models and vocoders that were trained in this folder count only if they are named. excerpt: the part of the
    recording to decode.
    Raises CodesError: the codes cannot be read or do not fit the model, or there is no such part; ModelError: their
    model is missing; VocoderError: no such vocoder, or it takes other features; SqcodecError: the target cannot be
    written.
    """
    check_target(source, target, _RAW_SUFFIXES if raw else SOUND_FORMATS)
    file = exported_row(source, row) if row is not None or is_shard(source) else spooled_codes(source)
    found = find_model(file.identity, model, program=program)
    codec = open_codec(found.path, device, precision, program=program)
    rate = check_rate(codec.sample_rate if rate is None else rate)
    opened = open_excerpt(codec, file, excerpt, recover=recover)
    result = decode_with(
        opened, target, where=file.where, speaker=speaker, vocoder=vocoder, rate=rate, raw=raw, progress=progress,
        excerpt=excerpt,
    )  # fmt: skip
    return Decoded(
        samples=result.samples,
        sample_rate=rate,
        speaker=opened.codec.speaker_of(opened.codes, speaker),
        model=opened.codec.path,
        notes=(
            *note("model", found.note),
            *note("bare array", bare_array_note(file, found)),
            *note("vocoder", opened.codec.vocoder(vocoder).note),
            *note("limited", clipping_note(result, str(target))),
        ),
        lost=opened.lost,
    )


def decode_with(
    opened: Opened,
    target: Path,
    *,
    where: str,
    speaker: str | None,
    vocoder: str | None,
    rate: int,
    raw: RawEncoding | None = None,
    progress: ShowProgress | None = None,
    excerpt: Excerpt = WHOLE,
) -> Written:
    """Decode codes with their open model to a sound file. Errors name `where`. Raises as `decode_file`."""
    codes = opened.codes
    sound: Iterable[NDArray[np.float32]] = opened.codec.decode_blocks(
        codes, speaker=speaker, vocoder=vocoder, where=where
    )
    if progress:
        what = f"seconds decoded on {opened.codec.engine.device}"
        sound = watched(sound, opened.codec.sample_rate, codes.seconds, what, progress)
    sound = _silenced(sound, opened.lost, opened.codec.sample_rate, opened.begins)
    sound = resampled(sound, opened.codec.sample_rate, rate)
    start, samples = excerpt.extent(rate, begins=opened.begins, samples=codes.samples_at(rate))
    sound = _cut(sound, start, samples)  # resampling may give a sample more
    with written(target) as draft:
        done = write_sound(draft, sound, rate, sound_format(target, raw), expected=samples)
        return done._replace(stamp=stamp_of(draft))


def _codes_format(target: Path, form: CodesFormat | None) -> CodesFormat:
    """`form`, or the format of the suffix. Raises SqcodecError: they differ."""
    suffix = target.suffix.lower().removeprefix(".")
    if is_pipe(target) or is_special(target):
        return form or "sqc"
    by_suffix: CodesFormat = "npy" if suffix == "npy" else "sqc"
    if form not in (None, by_suffix):
        raise SqcodecError(f"{target}: the suffix says {by_suffix}, `form` says {form}; change one of them")
    return by_suffix


def check_block(block: float | None, form: CodesFormat) -> None:
    """Raise SqcodecError: blocks of a format that has none."""
    if block is not None and form == "npy":
        raise SqcodecError("`block` is for .sqc files: an .npy has no blocks")


def check_coder(options: Options | None, form: CodesFormat) -> None:
    """Raise SqcodecError: a coder is given for a format that has none."""
    if options and options.coder and form == "npy":
        raise SqcodecError("`coder` is for .sqc files: an .npy is not entropy-coded")


def check_dtype(dtype: npy.Dtype | None, form: CodesFormat) -> None:
    """Raise SqcodecError: a type of the codes is given for a format that has none."""
    if dtype is not None and form != "npy":
        raise SqcodecError(f"`dtype` {dtype}: is for .npy files, a .{form} has its own coding; leave it out")


def _silenced(
    blocks: Iterable[NDArray[np.float32]], spans: tuple[Span, ...], rate: int, begins: int
) -> Iterator[NDArray[np.float32]]:
    """Blocks [n] at `rate` of a recording from `begins` on, s, with zeros in its lost spans."""
    offset = begins * rate
    for block in blocks:
        for span in spans:
            start, stop = (max(0, round(time * rate) - offset) for time in span)
            block[start:stop] = 0
        offset += len(block)
        yield block


def _cut(blocks: Iterable[NDArray[np.float32]], start: int, samples: int) -> Iterator[NDArray[np.float32]]:
    """The samples from `start` on, so many of them, in blocks [n] of which some may be empty."""
    for block in blocks:
        part = block[start : start + samples]
        yield part
        start -= min(start, len(block))
        samples -= len(part)
