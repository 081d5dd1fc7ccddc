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


def check_rate(rate: int) -> None:
    """Raise AudioError: not the sample rate (Hz) of a recording."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(f"got a sample rate of {rate} Hz, expected {LOWEST_RATE} to {HIGHEST_RATE}")


def resampled(blocks: Iterable[Samples], rate: int, to_rate: int) -> Iterator[Samples]:
    """Blocks [n] at `rate` -> blocks at `to_rate` (Hz), together ceil(samples x to_rate / rate) long.

    Raises AudioError: a rate that cannot be resampled.
    """
    if rate == to_rate:
        return iter(blocks)
    import soxr  # a bare machine trains without it

    try:
        stream = soxr.ResampleStream(rate, to_rate, 1, dtype="float32", quality="HQ")
    except (RuntimeError, ValueError) as error:
        raise AudioError(f"{rate} Hz cannot be resampled to {to_rate} Hz: {error}") from None
    return _through(stream, blocks, rate, to_rate)


def resample(samples: Samples, rate: int, to_rate: int) -> Samples:
    """As `resampled`, of a whole recording [N]."""
    return np.concatenate([np.zeros(0, np.float32), *resampled([samples], rate, to_rate)])


def _through(stream: "soxr.ResampleStream", blocks: Iterable[Samples], rate: int, to_rate: int) -> Iterator[Samples]:
    count = returned = 0
    for block in blocks:
        sound = stream.resample_chunk(block)
        count, returned = count + len(block), returned + len(sound)
        if len(sound):
            yield sound
    missing = -(-count * to_rate // rate) - returned
    rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if missing > 0:
        yield np.pad(rest[:missing], (0, max(0, missing - len(rest))))
