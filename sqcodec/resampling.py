"""Sound from one sample rate to another, block by block: the one loop over soxr."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import AudioError

if TYPE_CHECKING:
    import soxr

Samples = NDArray[np.float32]
LOWEST_RATE, HIGHEST_RATE = 1000, 384_000  # Hz, of recordings


def check_rate(rate: float) -> int:
    """The rate as an integer. Raises AudioError: not the sample rate (Hz) of a recording."""
    number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if number and not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(f"got a sample rate of {rate} Hz, expected {LOWEST_RATE} to {HIGHEST_RATE}")
    if not number or rate % 1:
        raise AudioError(f"got a sample rate of {rate!r}, expected a whole number of Hz, such as 16000")
    return int(rate)


def resampled(blocks: Iterable[Samples], rate: int, to_rate: int) -> Iterator[Samples]:
    """Blocks [n] at `rate` -> blocks at `to_rate` (Hz), together ceil(samples x to_rate / rate) long.

    Raises AudioError: a rate that cannot be resampled.
    """
    return iter(blocks) if rate == to_rate else _through(Resampler(rate, to_rate), blocks)


def resample(samples: Samples, rate: int, to_rate: int) -> Samples:
    """As `resampled`, of a whole recording [N]."""
    return np.concatenate([np.zeros(0, np.float32), *resampled([samples], rate, to_rate)])


class Resampler:
    """Samples [n] as they come -> samples at another rate (Hz), together ceil(samples x to_rate / rate) long.

    Raises AudioError: a rate that cannot be resampled.
    """

    def __init__(self, rate: int, to_rate: int) -> None:
        self._rate, self._to_rate = rate, to_rate
        self._count = self._returned = 0
        self._stream = _stream(rate, to_rate) if rate != to_rate else None

    def push(self, samples: Samples) -> Samples:
        """The samples that are certain by now."""
        if self._stream is None:
            return samples
        sound: Samples = self._stream.resample_chunk(samples)
        self._count, self._returned = self._count + len(samples), self._returned + len(sound)
        return sound

    def flush(self) -> Samples:
        """The rest; the stream has ended then."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        missing = max(0, -(-self._count * self._to_rate // self._rate) - self._returned)
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)[:missing]
        return np.pad(rest, (0, missing - len(rest)))


def _stream(rate: int, to_rate: int) -> "soxr.ResampleStream":
    import soxr  # a bare machine trains without it

    try:
        return soxr.ResampleStream(rate, to_rate, 1, dtype="float32", quality="HQ")
    except (RuntimeError, ValueError) as error:
        raise AudioError(f"{rate} Hz cannot be resampled to {to_rate} Hz: {error}") from None


def _through(resampler: Resampler, blocks: Iterable[Samples]) -> Iterator[Samples]:
    for block in blocks:
        if len(sound := resampler.push(block)):
            yield sound
    if len(rest := resampler.flush()):
        yield rest
