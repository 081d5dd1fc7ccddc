"""Mel-cepstral distortion in dB (Kubichek, PACRIM 1993), by three definitions; their figures do not compare.

textbook: WORLD envelope (dio, CheapTrick) every 5 ms, order 24, alpha 0.42; c0, the level, left out; frame by frame.
espnet:   SPTK's mel cepstrum of int16 samples, Hamming 1024, hop 256, order 23, alpha 0.42; c0 counts; after dynamic
          time warping (exact here, where ESPnet's `evaluate_mcd.py` uses an approximation).
versa:    low cut at 70 Hz, WORLD envelope (Harvest, CheapTrick) of int16 samples every 5 ms, order 39, alpha 0.466; c0
          counts; frame by frame (VERSA's `mcd_f0` as it is set by default).
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError
from sqcodec.metrics.cepstrum import from_envelope, unbiased
from sqcodec.metrics.signals import METRIC_RATE, Signal, validate

McdDefinition = Literal["textbook", "espnet", "versa"]
DEFINITIONS: tuple[McdDefinition, ...] = get_args(McdDefinition)
_SHORTEST = 1024  # samples: one frame of the longest window
_MAX_FRAMES = 8000  # of espnet's, 16 ms each: two minutes, whose warping takes a gigabyte
_INT16 = 32767.0
_FLOOR = 1e-10  # added to power where a definition has no floor of its own: digital silence has a spectrum too

_Array = NDArray[np.float64]


def mcd(reference: Signal, degraded: Signal, *, definition: McdDefinition) -> float:
    """Mean over frames of 10 / ln 10 sqrt(2 sum_m (c_m - c'_m)^2); both [N] at 16 kHz, aligned.

    Raises MetricError: silent, less than 1024 samples, or more than two minutes for espnet.
    """
    validate(reference, degraded, shortest=_SHORTEST)
    match definition:
        case "textbook":
            return float(distortion(_textbook(reference), _textbook(degraded)).mean())
        case "versa":
            return float(distortion(_versa(reference), _versa(degraded)).mean())
        case "espnet":
            from scipy.spatial.distance import cdist

            from sqcodec.metrics.dtw import warp_path  # compiled by numba, which is slow to import

            first, second = _espnet(reference), _espnet(degraded)
            if max(len(first), len(second)) > _MAX_FRAMES:
                raise MetricError(f"too long for time warping: got {len(first)} frames, expected {_MAX_FRAMES} or less")
            path = warp_path(cdist(first, second))
            return float(distortion(first[path[:, 0]], second[path[:, 1]]).mean())


def distortion(first: _Array, second: _Array) -> _Array:
    """Distortion of each frame in dB, [T], of two cepstra [T, m]."""
    decibels: _Array = 10.0 / np.log(10.0) * np.sqrt(2.0 * ((first - second) ** 2).sum(1))
    return decibels


def evaluate(reference: Signal, degraded: Signal, *, definition: McdDefinition) -> dict[str, float]:
    """{"mcd": `mcd`}."""
    return {"mcd": mcd(reference, degraded, definition=definition)}


def _textbook(signal: Signal) -> _Array:
    import pyworld

    samples = signal.astype(np.float64)
    f0, times = pyworld.dio(samples, METRIC_RATE)
    f0 = pyworld.stonemask(samples, f0, times, METRIC_RATE)
    envelope = pyworld.cheaptrick(samples, f0, times, METRIC_RATE)
    return from_envelope(envelope + _FLOOR, 24, 0.42)[:, 1:]


def _versa(signal: Signal) -> _Array:
    import pyworld
    from scipy.signal import firwin, lfilter

    high_pass = firwin(255, 70.0 / (METRIC_RATE / 2), pass_zero=False)
    samples = lfilter(high_pass, [1.0], signal.astype(np.float64) * _INT16)
    f0, times = pyworld.harvest(samples, METRIC_RATE, f0_floor=40.0, f0_ceil=800.0, frame_period=5.0)
    envelope = pyworld.cheaptrick(samples, f0, times, METRIC_RATE, fft_size=1024)
    return from_envelope(np.maximum(envelope, np.finfo(np.float64).tiny), 39, 0.466)  # versa adds nothing


def _espnet(signal: Signal) -> _Array:
    samples = np.round(signal.astype(np.float64) * _INT16)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::256]
    window = np.hamming(1024)
    window /= np.sqrt((window**2).sum())  # SPTK's windows have unit power
    return unbiased(np.abs(np.fft.rfft(frames * window)) ** 2 + 1e-6, 23, 0.42)
