"""DistillMOS: predicted naturalness from 1 to 5, without a reference (Stahl and Gamper, arXiv 2502.05356).

A small network distilled from a predictor on self-supervised features (XLS-R); the package `distillmos` carries it.
Recordings of less than 7.68 s are filled with zeros, longer ones are the mean of overlapping windows of that length,
which are all in memory: 65 MB a second.
"""

import contextlib
import io
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from sqcodec.metrics.signals import METRIC_RATE, Signal, extra, validate_one

_SHORTEST = METRIC_RATE // 4
_LONGEST = 30 * METRIC_RATE


def distillmos(signal: Signal) -> float:
    """Naturalness of [N] at 16 kHz. Raises MetricError: silent, below 0.25 s, or no package `distillmos`.

    More than 30 s are cut into equal pieces of 30 s at most, whose figures are averaged.
    """
    package = extra("distillmos", "DistillMOS")
    validate_one(signal, shortest=_SHORTEST, name="degraded signal")
    pieces = np.array_split(signal, -(-len(signal) // _LONGEST))
    with torch.inference_mode():
        scores = [float(_network(package)(torch.from_numpy(piece)[None].float())) for piece in pieces]
    return float(np.mean(scores))


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"distillmos": `distillmos` of the degraded signal}; the reference is not looked at."""
    del reference
    return {"distillmos": distillmos(degraded)}


@lru_cache(maxsize=1)
def _network(package: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
        return package.ConvTransformerSQAModel().eval()
