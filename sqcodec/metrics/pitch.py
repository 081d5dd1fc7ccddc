"""Fundamental frequency and voicing against the reference's, both from WORLD (dio, refined by StoneMask).

Gross pitch error: Rabiner, Cheng, Rosenberg and McGonegal, IEEE TASSP 24(5), 1976, with 20 % as in Chu and Alwan,
ICASSP 2009, who define the voicing decision error too. WORLD: Morise, Yokomori and Ozawa, IEICE E99-D(7), 2016.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError
from sqcodec.metrics.signals import METRIC_RATE, Signal, validate

GROSS = 0.2  # relative deviation of F0 above which a frame is in gross error
_SHORTEST = 800  # samples: 50 ms, a few periods of a deep voice

_Track = NDArray[np.float64]


class PitchErrors(NamedTuple):
    """f0_rmse in Hz and f0_cents (RMS) over frames voiced in both; gross in % of those; voicing in % of all frames."""

    f0_rmse: float
    f0_cents: float
    gross: float
    voicing: float


def f0_track(signal: Signal) -> _Track:
    """F0 of [N] at 16 kHz in Hz every 5 ms, 0 where unvoiced; dio's limits of 71 to 800 Hz."""
    import pyworld

    samples = signal.astype(np.float64)
    f0, times = pyworld.dio(samples, METRIC_RATE)
    refined: _Track = pyworld.stonemask(samples, f0, times, METRIC_RATE)
    return refined


def compare(reference: _Track, degraded: _Track) -> PitchErrors:
    """Errors of an F0 track [T] in Hz (0: unvoiced). Raises MetricError: no frame is voiced in both."""
    both = (reference > 0) & (degraded > 0)
    if not both.any():
        raise MetricError("no frame is voiced in the reference and in the degraded signal")
    ratio = degraded[both] / reference[both]
    return PitchErrors(
        f0_rmse=float(np.sqrt(((degraded[both] - reference[both]) ** 2).mean())),
        f0_cents=float(np.sqrt(((1200.0 * np.log2(ratio)) ** 2).mean())),
        gross=float(100.0 * (np.abs(ratio - 1.0) > GROSS).mean()),
        voicing=float(100.0 * ((reference > 0) != (degraded > 0)).mean()),
    )


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """The four errors of two signals [N] at 16 kHz, aligned. Raises MetricError: silent, below 50 ms, or unvoiced."""
    validate(reference, degraded, shortest=_SHORTEST)
    errors = compare(f0_track(reference), f0_track(degraded))
    return {
        "f0_rmse": errors.f0_rmse,
        "f0_cents": errors.f0_cents,
        "gross_pitch": errors.gross,
        "voicing": errors.voicing,
    }
