"""DNSMOS P.835: predicted overall quality from 1 to 5, without a reference (Reddy, Gopal and Cutler, ICASSP 2022).

By the package `speechmos`, with the networks that it carries; recordings of less than 9.01 s are repeated.
"""

import numpy as np

from sqcodec.metrics.signals import METRIC_RATE, Signal, extra, validate

_SHORTEST = METRIC_RATE // 4


def dnsmos(signal: Signal) -> float:
    """Overall quality (OVRL) of [N] at 16 kHz. Raises MetricError: silent, below 0.25 s, or no package `speechmos`."""
    package = extra("speechmos.dnsmos", "DNSMOS")
    validate(signal, signal, shortest=_SHORTEST)
    return float(package.run(np.clip(signal, -1.0, 1.0), METRIC_RATE)["ovrl_mos"])


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"dnsmos": `dnsmos` of the degraded signal}; the reference is not looked at."""
    del reference
    return {"dnsmos": dnsmos(degraded)}
