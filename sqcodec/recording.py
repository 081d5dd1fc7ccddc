"""What can be encoded: sound that is read at the rate that a model asks for."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import AudioError
from sqcodec.resampling import check_rate, resampled

LOUDEST = 100.0  # times full scale: beyond it these are integers that were taken for floats


def check_level(samples: NDArray[np.floating]) -> None:
    """Raise AudioError: far beyond -1 to 1."""
    if samples.size and (loudest := float(np.abs(samples).max())) > LOUDEST:
        raise AudioError(f"got samples up to {loudest:.3g}, expected -1 to 1; divide by the value of full scale")


class Recording(Protocol):
    """A recording of one channel that can be read as often as needed."""

    @property
    def rate(self) -> int:
        """Its own sample rate, Hz."""

    @property
    def input_samples(self) -> int:
        """Samples at its own rate; may have to be counted, so ask after reading."""

    def blocks(self, rate: int) -> Iterable[NDArray[np.float32]]:
        """The recording as [n] at `rate` (Hz), together ceil(input_samples x rate / own rate) long."""


@dataclass(frozen=True, eq=False)
class ArrayRecording:
    """A recording that is in memory: samples [N] float32 at `rate` (Hz). Raises AudioError: no recording's rate."""

    samples: NDArray[np.float32]
    rate: int

    def __post_init__(self) -> None:
        check_rate(self.rate)

    @property
    def input_samples(self) -> int:
        """N."""
        return len(self.samples)

    def blocks(self, rate: int) -> Iterable[NDArray[np.float32]]:
        """All of it at `rate`. Raises AudioError: a rate that cannot be resampled."""
        return resampled([self.samples], self.rate, rate)
