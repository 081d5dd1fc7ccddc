"""PESQ, wide band: predicted listening quality from 1.04 to 4.64 (ITU-T P.862.2), by the package `pesq`."""

import numpy as np

from sqcodec.errors import MetricError
from sqcodec.metrics.pair import Signal, extra, validate
from sqcodec.values import SAMPLE_RATE

_SHORTEST = SAMPLE_RATE // 4  # the standard's own limit: it refuses less than a quarter of a second


def pesq_wb(reference: Signal, degraded: Signal) -> float:
    """MOS-LQO in wide-band mode; both [N] at 16 kHz, aligned. It levels both signals itself.

    Raises MetricError: silent, shorter than 0.25 s, no utterance in the reference, or no package `pesq`.
    """
    package = extra("pesq", "PESQ")
    validate(reference, degraded, shortest=_SHORTEST)
    try:
        return float(package.pesq(SAMPLE_RATE, reference, degraded, "wb"))
    except package.PesqError as error:
        text = error.args[0] if error.args else type(error).__name__
        raise MetricError(f"PESQ: {text.decode() if isinstance(text, bytes) else text}") from error


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"pesq": `pesq_wb`}."""
    return {"pesq": pesq_wb(np.asarray(reference), np.asarray(degraded))}
