"""What every metric of two signals expects, checked in one place."""

import importlib
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError

METRIC_RATE = 16000  # Hz, of all metrics: wide-band PESQ and DNSMOS know no other; sound is resampled to it
Signal = NDArray[np.float32]  # [N] samples at METRIC_RATE, full scale 1


def validate(reference: Signal, degraded: Signal, *, shortest: int = 1) -> None:
    """Raise MetricError unless both are [N], finite, of one length, `shortest` or longer, and neither is silent."""
    if reference.ndim != 1 or degraded.ndim != 1 or len(reference) != len(degraded):
        raise MetricError(
            f"got signals of shapes {reference.shape} and {degraded.shape}, expected two [N] of one length; align them"
        )
    validate_one(reference, shortest=shortest, name="reference")
    validate_one(degraded, shortest=shortest, name="degraded signal")


def validate_one(signal: Signal, *, shortest: int = 1, name: str = "signal") -> None:
    """As `validate`, of one signal; `name`: what errors call it."""
    if signal.ndim != 1:
        raise MetricError(f"got a signal of shape {signal.shape}, expected [N]")
    if len(signal) < shortest:
        raise MetricError(f"too short: got {len(signal)} samples, expected {shortest} or more")
    if not np.isfinite(signal).all():
        raise MetricError("not finite: got NaN or infinity, expected samples in -1 to 1")
    if not signal.any():
        raise MetricError(f"silent: the {name} holds zeros only")


def extra(package: str, metric: str) -> ModuleType:
    """Import a package of the `eval` extra. Raises MetricError: it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MetricError(f"{metric} needs the package {package.partition('.')[0]}: install sqcodec[eval]") from error
