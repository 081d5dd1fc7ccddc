"""Read a recording: any format of libsndfile, in blocks of one channel at a given rate."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.corpus.containers import Remark, declared_samples, doubts, open_sound, second_recording, truncation
from sqcodec.errors import AudioError
from sqcodec.recording import LOUDEST
from sqcodec.resampling import check_rate, resampled

RawEncoding = Literal["s16le", "f32le"]
RAW_SUBTYPES: dict[RawEncoding, str] = {"s16le": "PCM_16", "f32le": "FLOAT"}
_PREFIX = re.compile(r"^Error opening .*: ", re.DOTALL)  # libsndfile's reason follows
MAX_SAMPLE = 1e10  # beyond 32-bit integers that were taken for floats; resampling could overflow from 1e38 on
CANCELLED = 0.1  # of the power that the loudest channel alone would have in the mix


class RawFormat(NamedTuple):
    """Samples of one channel without a header: their encoding and their sample rate."""

    encoding: RawEncoding
    sample_rate: int


class AudioSource:
    """A recording that is read block by block, any number of times, at any rate and mixed down to one channel.

    raw: what the file holds when it has no header.
    rate: Hz, channels: both of the file. Raises AudioError (path and reason) at once when the file is missing, is not
    audio, is empty, has another recording behind it, or an absurd rate; and while reading when its data are truncated,
    broken or not finite.
    """

    def __init__(self, path: Path, raw: RawFormat | None = None) -> None:
        self.path, self._raw = path, raw
        self._channel: int | None = None  # of several, the one that is taken alone; known after reading
        self._doubts: tuple[Remark, ...] = ()
        self._loudest = 0.0  # times full scale, of what was read
        with self._open() as file:
            self.rate: int = file.samplerate
            self.channels: int = file.channels
            self._declared = declared_samples(file)
            self._check_container(file)
            # where the header does not tell, the first sample does: counting would decode the whole once more
            empty = not self._declared if self._declared is not None else not len(file.read(1))
        self._counted: int | None = self._declared
        if empty:
            raise AudioError(f"{path}: empty: it holds no samples; expected at least one")

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What a user should know of the recording; complete when it was read to its end."""
        found = list(self._doubts)
        if self._loudest > LOUDEST:
            text = f"samples up to {self._loudest:.0f}, where full scale is 1; integers that were saved as floats? They"
            found.append(Remark("beyond full scale", f"{text} are clipped when they are decoded"))
        if self.channels == 1:
            return tuple(found)
        if self._channel is None:
            return (Remark("mixed down", f"{self.channels} channels were mixed down to one"), *found)
        text = f"{self.channels} channels cancel each other; channel {self._channel + 1}, the loudest, was taken alone"
        return (Remark("one channel", text), *found)

    @property
    def input_samples(self) -> int:
        """Samples per channel at the file's own rate; where the header cannot be trusted and the recording was not read
        to its end yet, counted by reading it."""
        if self._counted is None:
            self._counted = sum(len(block) for block in self._mono_blocks(1 << 18))
        return self._counted

    @property
    def known_samples(self) -> int | None:
        """As `input_samples`; None while they would have to be counted."""
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
        if self.channels > 1:
            self._channel = self._cancelled(at_once)
        with self._open() as file:
            while len(block := file.read(at_once, dtype="float32", always_2d=True)):
                mono = self._checked(self._mixed(block), count)
                count += len(mono)
                yield np.ascontiguousarray(mono)
            self._doubts = tuple(doubts(file, self.path, count))
        if self._declared is not None and count < self._declared:
            raise self._broken(f"truncated: got {count} of {self._declared} samples; copy or download the file again")
        self._counted = count

    def _mixed(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.channels == 1 or self._channel is not None:
            return block[:, self._channel or 0]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
            mixed: NDArray[np.float32] = block.mean(axis=1, dtype=np.float32)
        return mixed

    def _checked(self, mono: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """The samples [n] after `count` others. Raises AudioError: not finite, or no sound."""
        if not np.isfinite(mono).all():
            raise AudioError(
                f"{self.path}: not finite: NaN or infinity within samples {count} to {count + len(mono)};"
                " repair or leave out the file"
            )
        self._loudest = max(self._loudest, loudest := float(np.abs(mono).max()))
        if loudest > MAX_SAMPLE:
            raise AudioError(
                f"{self.path}: no sound: values up to {loudest:.3g} within samples {count} to"
                f" {count + len(mono)}, expected -1 to 1; repair or leave out the file"
            )
        return mono

    def _cancelled(self, at_once: int) -> int | None:
        """The loudest channel, if the mean of all is far below what it alone would have there; else None."""
        powers, mixed = np.zeros(self.channels), 0.0
        with self._open() as file, np.errstate(over="ignore", invalid="ignore"):
            while len(block := file.read(at_once, dtype="float32", always_2d=True)):
                powers += np.square(block, dtype=np.float64).sum(axis=0)
                mixed += float(np.square(block.mean(axis=1, dtype=np.float64)).sum())
        loudest = int(powers.argmax())
        return loudest if mixed < CANCELLED * powers[loudest] / self.channels**2 else None

    @contextmanager
    def _open(self) -> Iterator[soundfile.SoundFile]:
        if not self.path.is_file():
            got = "a folder" if self.path.is_dir() else "no such file"
            raise AudioError(f"{self.path}: missing: {got}; expected a recording (WAV, FLAC, Ogg, MP3...)")
        try:
            with self._sound_file() as file:
                yield file
        except (soundfile.SoundFileError, TypeError, OSError) as error:
            if self._raw is None and isinstance(error, TypeError):
                raise AudioError(
                    f"{self.path}: raw samples, whose format and rate no header says; `raw` s16le and `rate` 16000 do"
                ) from error
            reason = _PREFIX.sub("", str(error)).rstrip(".")
            raise self._broken(f"{reason}; expected a recording (WAV, FLAC, Ogg, MP3...)") from error

    def _sound_file(self) -> soundfile.SoundFile:
        if self._raw is None:
            return open_sound(self.path)
        size = {"s16le": 2, "f32le": 4}[self._raw.encoding]
        if (length := self.path.stat().st_size) % size:
            raise self._broken(f"got {length} bytes, expected a multiple of {size} ({self._raw.encoding} samples)")
        subtype, rate = RAW_SUBTYPES[self._raw.encoding], self._raw.sample_rate
        return soundfile.SoundFile(os.fsencode(self.path), "r", rate, 1, format="RAW", subtype=subtype, endian="LITTLE")

    def _check_container(self, file: soundfile.SoundFile) -> None:
        """Raise AudioError: an absurd rate, a file that ends early, or two recordings in one file."""
        try:
            check_rate(self.rate)
        except AudioError as error:
            raise self._broken(str(error)) from None
        if self._raw is not None:
            return
        if missing := truncation(file, self.path):
            raise self._broken(f"truncated: {missing}; copy or download the file again")
        if (second := second_recording(file, self.path)) is not None:
            raise self._broken(
                f"a second recording begins at byte {second}; split the file, or convert it to WAV with another program"
            )

    def _broken(self, reason: str) -> AudioError:
        return AudioError(f"{self.path}: broken: {reason}")
