"""The codes of a recording, as encoder, bitstream and decoder exchange them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """What the encoder makes of a recording and the decoder needs.

    indices: [K, T] uint16, one row a codebook; `samples` counts those at `sample_rate` (the input's rate);
    `gain` is what the decoder multiplies its peak-normalised output by (0 for digital silence);
    `fingerprint` names what gives the indices a meaning, None when it is not known (a bare array).
    """

    indices: NDArray[np.uint16]
    samples: int
    sample_rate: int
    gain: float
    speaker: str | None
    fingerprint: str | None

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.sample_rate

    def samples_at(self, rate: int) -> int:
        """Samples of the recording at another rate (Hz): ceil(samples x rate / sample_rate)."""
        return -(-self.samples * rate // self.sample_rate)
