"""DNSMOS: predicted quality from 1 to 5, without a reference, in the ways of ITU-T P.835 and P.808.

Reddy, Gopal and Cutler, ICASSP 2022 (P.835, overall quality) and ICASSP 2021 (P.808). By the package `speechmos`, with
the networks that it carries; recordings of less than 9.01 s are repeated.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sqcodec.metrics.onnx_session import open_session
from sqcodec.metrics.signals import METRIC_RATE, Signal, extra, validate_one

_SHORTEST = METRIC_RATE // 4


def dnsmos(signal: Signal) -> float:
    """Overall quality (OVRL) of [N] at 16 kHz. Raises MetricError: silent, below 0.25 s, or no package `speechmos`."""
    return float(_predicted(signal)["ovrl_mos"])


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"dnsmos": `dnsmos` of the degraded signal, "dnsmos_p808": P.808}; the reference is not looked at."""
    del reference
    predicted = _predicted(degraded)
    return {"dnsmos": float(predicted["ovrl_mos"]), "dnsmos_p808": float(predicted["p808_mos"])}


def _predicted(signal: Signal) -> dict[str, Any]:
    package = extra("speechmos.dnsmos", "DNSMOS")
    validate_one(signal, shortest=_SHORTEST, name="degraded signal")
    predicted: dict[str, Any] = _scorer(package)(np.clip(signal, -1.0, 1.0), METRIC_RATE, False)
    return predicted


@cache
def _scorer(package: Any) -> Any:
    folder = Path(package.__file__).parent / "dnsmos_models"
    overall, p808 = str(folder / "sig_bak_ovr.onnx"), str(folder / "model_v8.onnx")
    scorer = package.DNSMOS(overall, p808)  # whose own sessions take a thread of every core
    scorer.onnx_sess, scorer.p808_onnx_sess = open_session(overall, "DNSMOS"), open_session(p808, "DNSMOS")
    return scorer
