"""Intelligibility from 0 to 1, by the package `pystoi`.

STOI: Taal, Hendriks, Heusdens and Jensen, IEEE TASLP 19(7), 2011. ESTOI: Jensen and Taal, IEEE/ACM TASLP 24(11), 2016.
"""

import warnings

from sqcodec.errors import MetricError
from sqcodec.metrics.signals import METRIC_RATE, Signal, extra, validate

_SHORTEST = round(0.4096 * METRIC_RATE)  # 30 frames of 12.8 ms and one of 25.6 ms more: one segment of the measure


def stoi(reference: Signal, degraded: Signal, *, extended: bool) -> float:
    """STOI, or ESTOI when `extended`; both [N] at 16 kHz, aligned (the package resamples to 10 kHz).

    Raises MetricError: silent, or less than 30 frames (0.41 s) of the reference within 40 dB of its loudest, or no
    package `pystoi`.
    """
    package = extra("pystoi", "STOI")
    validate(reference, degraded, shortest=_SHORTEST)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # it warns of too few frames and returns 1e-5
        try:
            # ESTOI adds random noise of 2e-16 to each band; rounding gives equal signals equal figures
            return round(float(package.stoi(reference, degraded, METRIC_RATE, extended=extended)), 9)
        except RuntimeWarning as warning:
            raise MetricError("too short: expected 30 frames (0.41 s) of speech in the reference") from warning


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"stoi": ..., "estoi": ...}."""
    return {
        "stoi": stoi(reference, degraded, extended=False),
        "estoi": stoi(reference, degraded, extended=True),
    }
