"""Words by PocketSphinx and the English model that its package carries.

A small recogniser of 2014: its word error rates are high and only fit to compare systems on the same recordings.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from sqcodec.errors import MetricError
from sqcodec.metrics.signals import METRIC_RATE, Signal, extra

PACKAGE = "pocketsphinx"


def require() -> None:
    """Raises MetricError: the package is not installed."""
    extra(PACKAGE, "the word error rate")


def transcribe(signal: Signal) -> str:
    """What is heard in [N] at 16 kHz, in lower case. Raises MetricError: the package is not installed, or it failed."""
    decoder = _decoder(extra(PACKAGE, "the word error rate"))
    samples = np.rint(np.clip(signal, -1.0, 1.0) * 32767).astype("<i2")
    try:
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
    except RuntimeError as error:
        raise MetricError(f"{PACKAGE}: cannot recognise {len(signal)} samples: {error}") from error
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


@lru_cache(maxsize=1)
def _decoder(package: Any) -> Any:
    return package.Decoder(samprate=float(METRIC_RATE), loglevel="FATAL")
