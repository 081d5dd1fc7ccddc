"""Read a recording: any format of libsndfile, in blocks of one channel at a given rate."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.errors import AudioError
from sqcodec.resampling import resampled

# Headers of these are estimates or absent, so that only reading tells the length; a short file is not a broken one.
_UNSURE_LENGTH = ("OGG", "MP3")
_NO_LENGTH = 1 << 62  # libsndfile's frame count when the header has none (a FLAC that was written to a pipe)
_STREAMED = 0x7FFF_0000  # chunk sizes from here on are what programs write into a pipe, not a length
RawEncoding = Literal["s16le", "f32le"]
RAW_SUBTYPES: dict[RawEncoding, str] = {"s16le": "PCM_16", "f32le": "FLOAT"}
_LOUDEST = 1e10  # beyond 32-bit integers that were taken for floats; resampling could overflow from 1e38 on
_CHUNK = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


class RawFormat(NamedTuple):
    """Samples of one channel without a header: their encoding and their sample rate."""

    encoding: RawEncoding
    sample_rate: int


class AudioSource:
    """A recording that is read block by block, any number of times, at any rate and mixed down to one channel.

    raw: what the file holds when it has no header.
    rate: Hz, channels: both of the file. Raises AudioError (path and reason) at once when the file is missing, is not
    audio or is empty, and while reading when its data are truncated, broken or not finite.
    """

    def __init__(self, path: Path, raw: RawFormat | None = None) -> None:
        self.path, self._raw = path, raw
        with self._open() as file:
            self.rate: int = file.samplerate
            self.channels: int = file.channels
            self._declared: int | None = None if file.format in _UNSURE_LENGTH else file.frames
            if self._declared is not None and self._declared >= _NO_LENGTH:
                self._declared = None
            self._check_chunks(file.extra_info)
            # where the header does not tell, the first sample does: counting would decode the whole once more
            empty = not self._declared if self._declared is not None else not len(file.read(1))
        self._counted: int | None = self._declared
        if empty:
            raise AudioError(f"{path}: empty: it holds no samples; expected at least one")

    @property
    def input_samples(self) -> int:
        """Samples per channel at the file's own rate; where the header cannot be trusted and the recording was not read
        to its end yet, counted by reading it."""
        if self._counted is None:
            self._counted = sum(len(block) for block in self._mono_blocks(1 << 18))
        return self._counted

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.input_samples / self.rate

    def blocks(self, rate: int, block_samples: int = 1 << 18) -> Iterator[NDArray[np.float32]]:
        """The recording as [n] float32 pieces at `rate` (Hz), together ceil(input_samples x rate / self.rate) long.

        block_samples bounds each piece (but for the resampler's delay) and, over all channels, what is read at once.
        Raises AudioError: truncated, broken, or samples that are not finite.
        """
        at_once = min(block_samples, max(1024, block_samples * self.rate // rate))
        try:
            pieces = resampled(self._mono_blocks(at_once), self.rate, rate)
        except AudioError as error:
            raise self._broken(str(error)) from error
        yield from pieces

    def read(self, rate: int) -> NDArray[np.float32]:
        """The whole recording, [N] float32 at `rate` (Hz). Raises AudioError as `blocks` does."""
        return np.concatenate(list(self.blocks(rate)))

    def _mono_blocks(self, block_samples: int) -> Iterator[NDArray[np.float32]]:
        """Blocks [n] at the file's own rate; its true length is known at the end."""
        at_once, count = max(1, block_samples // self.channels), 0
        with self._open() as file:
            while len(block := file.read(at_once, dtype="float32", always_2d=True)):
                with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
                    mono = block[:, 0] if self.channels == 1 else block.mean(axis=1, dtype=np.float32)
                if not np.isfinite(mono).all():
                    raise AudioError(
                        f"{self.path}: not finite: NaN or infinity within samples {count} to {count + len(mono)};"
                        " repair or leave out the file"
                    )
                if (loudest := float(np.abs(mono).max())) > _LOUDEST:
                    raise AudioError(
                        f"{self.path}: no sound: values up to {loudest:.3g} within samples {count} to"
                        f" {count + len(mono)}, expected -1 to 1; repair or leave out the file"
                    )
                count += len(mono)
                yield np.ascontiguousarray(mono)
        if self._declared is not None and count < self._declared:
            raise self._broken(f"truncated: got {count} of {self._declared} samples; copy or download the file again")
        self._counted = count

    @contextmanager
    def _open(self) -> Iterator[soundfile.SoundFile]:
        if not self.path.is_file():
            got = "a folder" if self.path.is_dir() else "no such file"
            raise AudioError(f"{self.path}: missing: {got}; expected a recording (WAV, FLAC, Ogg, MP3...)")
        try:
            with self._sound_file() as file:
                yield file
        except (soundfile.SoundFileError, TypeError, OSError) as error:  # TypeError: .raw, which has no header
            reason = str(error).removeprefix(f"Error opening {str(self.path)!r}: ").rstrip(".")
            raise self._broken(f"{reason}; expected a recording (WAV, FLAC, Ogg, MP3...)") from error

    def _sound_file(self) -> soundfile.SoundFile:
        if self._raw is None:
            return soundfile.SoundFile(self.path)
        size = {"s16le": 2, "f32le": 4}[self._raw.encoding]
        if (length := self.path.stat().st_size) % size:
            raise self._broken(f"got {length} bytes, expected a multiple of {size} ({self._raw.encoding} samples)")
        subtype, rate = RAW_SUBTYPES[self._raw.encoding], self._raw.sample_rate
        return soundfile.SoundFile(self.path, "r", rate, 1, format="RAW", subtype=subtype, endian="LITTLE")

    def _check_chunks(self, log: str) -> None:
        """libsndfile quietly shortens a WAV or AIFF whose data end early; only its log says so."""
        found = _CHUNK.search(log)
        if found and int(found[2]) < int(found[1]) < _STREAMED:
            raise self._broken(
                f"truncated: got {found[2]} of {found[1]} bytes of sound; copy or download the file again"
            )

    def _broken(self, reason: str) -> AudioError:
        return AudioError(f"{self.path}: broken: {reason}")
