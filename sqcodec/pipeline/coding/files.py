"""`encode` and `decode` from file to file; `-` is standard input or output."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.bitstream import npy, recovery, sqc
from sqcodec.bitstream.sqc_header import MAGIC, read_header
from sqcodec.codes import Codes
from sqcodec.corpus.audio import RAW_SUBTYPES, AudioSource, RawEncoding, RawFormat
from sqcodec.errors import SqcodecError
from sqcodec.model import model_header
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import FoundModel, find_for_decoding, find_for_encoding
from sqcodec.pipeline.paths import check_target, is_pipe, is_special, shown, spooled, written
from sqcodec.resampling import resampled

CodesFormat = Literal["sqc", "npy"]
SOUND_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
CODES_SUFFIXES = (".sqc", ".npy")
_RAW_SUFFIXES = (".raw", ".pcm")
_CHUNK = 1 << 16  # samples written at once


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What `encode_file` did: seconds of sound, codes over all codebooks, bytes of the file, nominal bit/s.

    `found`: whether the speaker was chosen by sqcodec, among `speakers`.
    """

    seconds: float
    codes: int
    size: int
    nominal_bit_rate: float
    speaker: str | None
    speakers: int
    found: bool
    model: Path
    notes: tuple[str, ...]

    @property
    def bit_rate(self) -> float:
        """True bit/s of the file, header included."""
        return 8 * self.size / self.seconds


class Span(NamedTuple):
    """A part of a recording that was lost, in seconds."""

    start: float
    stop: float


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What `decode_file` did; samples at sample_rate (Hz); lost: what came back as silence (with `recover`)."""

    samples: int
    sample_rate: int
    speaker: str | None
    model: Path
    notes: tuple[str, ...]
    lost: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return self.samples / self.sample_rate


class CodesFile(NamedTuple):
    """A codes file's bytes and its name for messages. identity: what it names its model by, None for a bare array;
    codes: those of an `.npy`; a `.sqc` needs its model to be read, and has None."""

    content: bytes
    where: str
    identity: str | None
    codes: Codes | None


class Opened(NamedTuple):
    """Codes, the model that they belong to, and what of them is lost."""

    codec: Codec
    codes: Codes
    lost: tuple[Span, ...]


class Written(NamedTuple):
    """How many samples a sound file has, and how many of them had to be limited to -1 to 1."""

    samples: int
    limited: int


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
) -> Encoded:
    """Encode a recording into a codes file, which appears complete or not at all.

    form: of the file; None takes it from the suffix, and `.sqc` where there is none. codebooks, bit_rate (nominal): how
    many of the model's codebooks to use; None: what its recipe says, or all. raw: what `source` holds when it has no
    header. Raises AudioError: the recording cannot be read; ModelError: no model; CodesError: unknown speaker;
    SqcodecError: the target cannot be written.
    """
    check_target(source, target, CODES_SUFFIXES)
    form = _codes_format(target, form)
    with spooled(source) as path:
        audio = AudioSource(path, raw)
        found = find_for_encoding(model)
        codec = open_codec(found.path, device)
        books = codec.codebooks_for(codebooks=codebooks, bit_rate=bit_rate)
        done = encode_with(codec, audio, target, speaker=speaker, form=form, codebooks=books)
    return replace(done, notes=_notes(found.note, mixed_down(audio, str(source))))


def mixed_down(audio: AudioSource, where: str) -> str:
    """What to say of a recording of several channels; "" for one."""
    return f"{where}: {audio.channels} channels were mixed down to one" if audio.channels > 1 else ""


def raw_format(encoding: RawEncoding | None, sample_rate: int | None) -> RawFormat | None:
    """Both or None."""
    return RawFormat(encoding, sample_rate) if encoding and sample_rate else None


def encode_with(
    codec: Codec, audio: AudioSource, target: Path, *, speaker: str | None, form: CodesFormat, codebooks: int
) -> Encoded:
    """As `encode_file`, with a model that is open and a number of its codebooks."""
    codes = codec.encode_recording(audio, speaker=speaker, codebooks=codebooks)
    content = npy.pack(codes) if form == "npy" else sqc.pack(codes, codec.space)
    with written(target) as draft:
        draft.write_bytes(content)
    return Encoded(
        seconds=codes.seconds,
        codes=codes.indices.size,
        size=len(content),
        nominal_bit_rate=codec.bit_rate * codebooks / codec.model.quantizer.codebooks,
        speaker=codes.speaker,
        speakers=len(codec.speakers),
        found=speaker is None,
        model=codec.path,
        notes=(),
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
    raw: RawEncoding | None = None,
) -> Decoded:
    """Decode a codes file into a sound file at `rate` Hz (None: the model's), which appears complete or not at all.

    recover: decode what is intact of a damaged `.sqc`, with silence for the rest, which `lost` lists. raw: samples
    without a header are written. Raises CodesError: the codes cannot be read or do not fit the model; ModelError: no
    model of theirs; VocoderError: no such vocoder, or for other features; SqcodecError: the target cannot be written.
    """
    check_target(source, target, _RAW_SUFFIXES if raw else SOUND_FORMATS)
    with spooled(source) as path:
        file = identify(npy.read_bytes(path), shown(source))
    found = find_model_of(file, model)
    codec = open_codec(found.path, device)
    rate = rate or codec.sample_rate
    opened = _recovered(codec, file) if recover and file.codes is None else open_with(codec, file)
    done = decode_with(opened, target, where=file.where, speaker=speaker, vocoder=vocoder, rate=rate, raw=raw)
    return Decoded(
        samples=done.samples,
        sample_rate=rate,
        speaker=opened.codec.speaker_of(opened.codes, speaker),
        model=opened.codec.path,
        notes=_notes(
            found.note, bare_array(file, found), opened.codec.vocoder(vocoder).note, limited_to_scale(done, str(target))
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
) -> Written:
    """Write the sound of codes whose model is open; errors name `where`. Raises as `decode_file`."""
    codes = opened.codes
    sound: Iterable[NDArray[np.float32]] = opened.codec.decode_blocks(
        codes, speaker=speaker, vocoder=vocoder, where=where
    )
    sound = _silenced(sound, opened.lost, opened.codec.sample_rate)
    sound = resampled(sound, opened.codec.sample_rate, rate)
    if rate == codes.sample_rate:
        sound = _cut(sound, codes.samples)  # the recording's own rate gives back its own length
    with written(target) as draft:
        return write_sound(draft, sound, rate, sound_format(target, raw))


def identify(content: bytes, where: str) -> CodesFile:
    """Tell the format by its magic, and whose codes they are. Raises CodesError: no codes file, or damaged."""
    if content.startswith(MAGIC):
        return CodesFile(content, where, read_header(content, where=where).identity, None)
    codes = npy.unpack(content, where=where)
    return CodesFile(content, where, codes.fingerprint, codes)


def find_model_of(file: CodesFile, model: str | None) -> FoundModel:
    """The model that wrote a file; of a bare array, the one to encode with. Raises ModelError."""
    return find_for_encoding(model) if file.identity is None else find_for_decoding(file.identity, model)


def open_with(codec: Codec, file: CodesFile) -> Opened:
    """The codes in a file, with their model. Raises CodesError: not readable with it."""
    if file.codes is None:
        return Opened(codec, sqc.unpack(file.content, codec.space, where=file.where), ())
    if file.identity is None:  # a bare array: its length follows from the model's rates
        return Opened(codec, npy.unpack(file.content, where=file.where, features=codec.model.features), ())
    return Opened(codec, file.codes, ())


def _recovered(codec: Codec, file: CodesFile) -> Opened:
    intact = recovery.recover(file.content, codec.space, where=file.where)
    rate, seconds = codec.model.features.code_rate, intact.codes.seconds
    lost = tuple(Span(block.start / rate, min(seconds, block.stop / rate)) for block in intact.lost)
    return Opened(codec, intact.codes, lost)


def _codes_format(target: Path, form: CodesFormat | None) -> CodesFormat:
    """The format asked for, or that of the suffix. Raises SqcodecError: they differ."""
    suffix = target.suffix.lower().removeprefix(".")
    if is_pipe(target) or is_special(target):
        return form or "sqc"
    named: CodesFormat = "npy" if suffix == "npy" else "sqc"
    if form not in (None, named):
        raise SqcodecError(f"{target}: the suffix says {named}, `form` says {form}; change one of them")
    return named


def _silenced(
    blocks: Iterable[NDArray[np.float32]], spans: tuple[Span, ...], rate: int
) -> Iterator[NDArray[np.float32]]:
    """Blocks [n] at `rate` with zeros where something was lost."""
    place = 0
    for block in blocks:
        for span in spans:
            start, stop = (max(0, round(time * rate) - place) for time in span)
            block[start:stop] = 0
        place += len(block)
        yield block


def _cut(blocks: Iterable[NDArray[np.float32]], samples: int) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        yield block[:samples]
        samples -= min(samples, len(block))


def bare_array(file: CodesFile, found: FoundModel) -> str:
    """What a bare array lacks and is taken for; "" for any other file."""
    if file.identity is not None:
        return ""
    samples = model_header.read_header(found.path).features.samples_per_code
    return (
        f"{file.where}: a bare array, without the model's fingerprint, length, loudness and speaker:"
        f" taken as codes of {found.path}, {samples} samples a code, gain 1"
    )


def limited_to_scale(done: Written, where: str) -> str:
    """What to say of samples beyond full scale; "" where there were none."""
    if not done.limited:
        return ""
    return f"{where}: {done.limited} of {done.samples} samples were beyond full scale and were limited"


def _notes(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def sound_format(target: Path, raw: RawEncoding | None) -> tuple[str, str]:
    """libsndfile's names of format and samples; a pipe has no suffix and receives a WAV."""
    return ("RAW", RAW_SUBTYPES[raw]) if raw else SOUND_FORMATS.get(target.suffix.lower(), SOUND_FORMATS[".wav"])


def write_sound(path: Path, blocks: Iterable[NDArray[np.float32]], rate: int, form: tuple[str, str]) -> Written:
    """Write blocks [n] at `rate` (Hz); form: libsndfile's names of format and samples."""
    kind, subtype = form
    samples = limited = 0
    endian = "LITTLE" if kind == "RAW" else "FILE"
    with soundfile.SoundFile(path, "w", rate, 1, format=kind, subtype=subtype, endian=endian) as file:
        for block in blocks:
            limited += int((np.abs(block) > 1.0).sum())
            samples += len(block)
            for start in range(0, len(block), _CHUNK):  # libsndfile's Vorbis overflows the stack on long blocks
                file.write(np.clip(block[start : start + _CHUNK], -1.0, 1.0))
    return Written(samples, limited)
