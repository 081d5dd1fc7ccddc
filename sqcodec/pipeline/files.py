"""`encode` and `decode` from file to file; `-` is standard input or output."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.bitstream.npy import pack, read_codes
from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import SqcodecError
from sqcodec.pipeline.coding import open_codec, resampled
from sqcodec.pipeline.lookup import Found, find_for_decoding, find_for_encoding
from sqcodec.values import SAMPLE_RATE, Codes

SOUND_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
_INPUT = "standard input"
_CHUNK = 1 << 16  # samples written at once


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What `encode_file` did; seconds of sound, nominal bit/s, `found` whether the speaker was chosen by sqcodec."""

    codes: Codes
    seconds: float
    bit_rate: float
    speakers: int
    found: bool
    model: Path
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What `decode_file` did; samples at sample_rate (Hz)."""

    samples: int
    sample_rate: int
    speaker: str
    model: Path
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return self.samples / self.sample_rate


def encode_file(
    source: Path, target: Path, *, model: str | None = None, speaker: str | None = None, device: str = "auto"
) -> Encoded:
    """Encode a recording into a codes file, which appears complete or not at all.

    Raises AudioError: the recording cannot be read; ModelError: no model; CodesError: unknown speaker;
    SqcodecError: the target cannot be written.
    """
    _check_target(source, target, {".npy": "npy"})
    with _spooled(source) as path:
        audio = AudioSource(path)
        found = find_for_encoding(model)
        codec = open_codec(found.path, device)
        codes = codec.encode_blocks(audio.blocks, samples=audio.input_samples, sample_rate=audio.rate, speaker=speaker)
    with _written(target) as draft:
        draft.write_bytes(pack(codes))
    mixed = f"{source}: {audio.channels} channels were mixed down to one" if audio.channels > 1 else ""
    return Encoded(
        codes=codes,
        seconds=codes.samples / codes.sample_rate,
        bit_rate=codec.bit_rate,
        speakers=len(codec.speakers),
        found=speaker is None,
        model=found.path,
        notes=_notes(found.note, mixed),
    )


def decode_file(
    source: Path,
    target: Path,
    *,
    model: str | None = None,
    speaker: str | None = None,
    vocoder: str = "griffin-lim",
    rate: int = SAMPLE_RATE,
    device: str = "auto",
) -> Decoded:
    """Decode a codes file into a sound file at `rate` Hz, which appears complete or not at all.

    Raises CodesError: the codes cannot be read or do not fit the model; ModelError: no model of theirs;
    SqcodecError: the target cannot be written.
    """
    _check_target(source, target, SOUND_FORMATS)
    with _spooled(source) as path:
        codes = read_codes(path)
    where = _INPUT if _is_pipe(source) else str(source)
    found = _model_of(codes, where, model)
    codec = open_codec(found.path, device)
    sound: Iterable[NDArray[np.float32]] = codec.decode_blocks(codes, speaker=speaker, vocoder=vocoder, where=where)
    if rate != SAMPLE_RATE:
        sound = resampled(sound, SAMPLE_RATE, rate, -(-codes.samples * SAMPLE_RATE // codes.sample_rate))
    if rate == codes.sample_rate:
        sound = _cut(sound, codes.samples)  # the recording's own rate gives back its own length
    with _written(target) as draft:
        samples, limited = _write_sound(draft, sound, rate, target.suffix.lower())
    clipped = f"{target}: {limited} of {samples} samples were beyond full scale and were limited" if limited else ""
    return Decoded(
        samples=samples,
        sample_rate=rate,
        speaker=codec.speaker_of(codes, speaker),
        model=found.path,
        notes=_notes(found.note, clipped),
    )


def _cut(blocks: Iterable[NDArray[np.float32]], samples: int) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        yield block[:samples]
        samples -= min(samples, len(block))


def _model_of(codes: Codes, where: str, model: str | None) -> Found:
    if codes.fingerprint is not None:
        return find_for_decoding(codes.fingerprint, model)
    found = find_for_encoding(model)
    bare = (
        f"{where}: a bare array, without the model's fingerprint, length, loudness and speaker:"
        f" taken as codes of {found.path}, 320 samples a code, gain 1"
    )
    return Found(found.path, "\n".join(_notes(found.note, bare)))


def _notes(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _write_sound(path: Path, blocks: Iterable[NDArray[np.float32]], rate: int, suffix: str) -> tuple[int, int]:
    """Write blocks [n]; returns how many samples there were and how many of them had to be limited to -1 to 1."""
    kind, subtype = SOUND_FORMATS.get(suffix, SOUND_FORMATS[".wav"])  # a pipe has no suffix
    samples = limited = 0
    with soundfile.SoundFile(path, "w", samplerate=rate, channels=1, format=kind, subtype=subtype) as file:
        for block in blocks:
            limited += int((np.abs(block) > 1.0).sum())
            samples += len(block)
            for start in range(0, len(block), _CHUNK):  # libsndfile's Vorbis overflows the stack on long blocks
                file.write(np.clip(block[start : start + _CHUNK], -1.0, 1.0))
    return samples, limited


def _is_pipe(path: Path) -> bool:
    return str(path) == "-"


def _check_target(source: Path, target: Path, formats: Iterable[str] | dict[str, tuple[str, str]]) -> None:
    """Raise SqcodecError when `target` is not a place where one of `formats` (suffixes) can be written."""
    if _is_pipe(target):
        return
    if target.is_dir():
        raise SqcodecError(f"{target}: a folder; expected the name of the file to write")
    if not target.parent.is_dir():
        raise SqcodecError(f"{target}: there is no folder {target.parent}; make it first")
    if not _is_pipe(source) and target.exists() and source.exists() and target.samefile(source):
        raise SqcodecError(f"{target}: input and output are the same file; write to another name")
    special = target.exists() and not target.is_file()  # /dev/null, a named pipe
    if target.suffix.lower() not in formats and not special:
        raise SqcodecError(f"{target}: unknown suffix {target.suffix!r}, expected one of: {', '.join(formats)}")


@contextmanager
def _spooled(source: Path) -> Iterator[Path]:
    """The file to read: `source`, or standard input in a temporary file, which error texts then name as such."""
    if not _is_pipe(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="sqcodec-") as folder:
        spool = Path(folder) / "input"
        with spool.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield spool
        except SqcodecError as error:
            raise type(error)(str(error).replace(str(spool), _INPUT)) from error


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A draft to write, which becomes `target` (or goes to standard output) if all goes well, else leaves no trace.

    Raises SqcodecError: the target cannot be written.
    """
    plain = not _is_pipe(target) and (not target.exists() or target.is_file())
    final = target.resolve()  # a link stays a link
    folder = final.parent if plain else Path(tempfile.gettempdir())
    draft = folder / f".{final.name}.{os.getpid()}"
    try:
        yield draft
        if plain:
            draft.replace(final)
        else:
            _copy_out(draft, target)
    except BrokenPipeError:
        raise
    except (OSError, soundfile.SoundFileError) as error:
        raise SqcodecError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _copy_out(draft: Path, target: Path) -> None:
    with draft.open("rb") as file:
        if _is_pipe(target):
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with target.open("wb") as out:
                shutil.copyfileobj(file, out)
