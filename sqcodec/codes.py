"""The codes of a recording, as encoder, bitstream and decoder exchange them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqcodec.spectrogram import SAMPLE_RATE, frame_count


def code_count(samples: int, sample_rate: int) -> int:
    """Codes a book of a recording of `samples` at sample_rate (Hz): one for each two frames, the last of one or two."""
    return -(-frame_count(-(-samples * SAMPLE_RATE // sample_rate)) // 2)


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
