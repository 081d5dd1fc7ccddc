"""PESQ, wide band: predicted listening quality from 1.04 to 4.64 (ITU-T P.862.2), by the package `pesq`."""

import math
from contextlib import suppress
from types import ModuleType

import numpy as np

from sqcodec.errors import MetricError
from sqcodec.metrics.signals import METRIC_RATE, Signal, extra, validate

_SHORTEST = METRIC_RATE // 4  # the standard's own limit: it refuses less than a quarter of a second
_LONGEST = (
    20 * METRIC_RATE
)  # its code has room for 50 utterances of 0.4 s with their pause, and does not look: it crashes

_LEAST = 0.999 + 4 / (1 + math.exp(-1.3669 * -0.5 + 3.8224))  # of P.862's least raw figure, -0.5: P.862.2, equation 1


def pesq_wb(reference: Signal, degraded: Signal) -> float:
    """MOS-LQO in wide-band mode; both [N] at 16 kHz, aligned. It levels both signals itself.

    More than 20 s are cut into equal pieces of 20 s at most, whose figures are averaged; pieces whose reference has no
    speech are left out, and a piece that is silent where there is some has the least value. Raises MetricError: silent,
    shorter than 0.25 s, no utterance in the reference, or no package `pesq`.
    """
    package = extra("pesq", "PESQ")
    validate(reference, degraded, shortest=_SHORTEST)
    pieces = -(-len(reference) // _LONGEST)
    if pieces == 1:
        return _score(package, reference, degraded)
    scores = []
    for first, second in zip(np.array_split(reference, pieces), np.array_split(degraded, pieces), strict=True):
        with suppress(MetricError):  # no speech in the reference
            heard = second.any() or not first.any()
            scores.append(_score(package, first, second) if heard else _least(package, first))
    if not scores:
        raise MetricError("PESQ: no piece of 20 s holds an utterance")
    return float(np.mean(scores))


def _least(package: ModuleType, reference: Signal) -> float:
    """The figure where all of the reference is lost. Raises MetricError: it has no utterance."""
    _score(package, reference, reference)
    return _LEAST


def _score(package: ModuleType, reference: Signal, degraded: Signal) -> float:
    validate(reference, degraded)
    try:
        return float(package.pesq(METRIC_RATE, reference, degraded, "wb"))
    except package.PesqError as error:
        text = error.args[0] if error.args else type(error).__name__
        raise MetricError(f"PESQ: {text.decode() if isinstance(text, bytes) else text}") from error


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"pesq": `pesq_wb`}."""
    return {"pesq": pesq_wb(np.asarray(reference), np.asarray(degraded))}
