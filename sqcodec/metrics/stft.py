"""Distances of short-time spectra: log-spectral and at several resolutions.

Log-spectral distance: Gray and Markel, IEEE TASSP 24(5), 1976. Multi-resolution STFT distance: Yamamoto, Song and Kim,
ICASSP 2020 (Parallel WaveGAN), eq. 3 to 6.
"""

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError
from sqcodec.metrics.pair import Signal, validate

RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))  # n_fft, hop, window, in samples
_POWER_FLOOR = 1e-10  # -100 dB of a full-scale sine's peak bin or so: what lies below counts as this
_AMPLITUDE_FLOOR = 1e-7

_Array = NDArray[np.float64]


def amplitudes(signal: Signal, *, n_fft: int, hop: int, window: int) -> _Array:
    """|STFT| [T, n_fft / 2 + 1] with a periodic Hann window of unit sum, centred frames, zeros beyond the edges."""
    half = window // 2
    padded = np.pad(signal.astype(np.float64), (half, half))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    return np.abs(np.fft.rfft(frames * (hann / hann.sum()), n_fft))


def log_spectral_distance(reference: Signal, degraded: Signal) -> float:
    """Mean over frames of the root mean square over frequency of the difference in dB; 32 ms Hann, hop 8 ms.

    Both [N] at 16 kHz, aligned. Powers below 1e-10 of full scale count as that. Raises MetricError: silent.
    """
    validate(reference, degraded)
    first, second = (
        10.0 * np.log10(amplitudes(signal, n_fft=512, hop=128, window=512) ** 2 + _POWER_FLOOR)
        for signal in (reference, degraded)
    )
    return float(np.sqrt(((first - second) ** 2).mean(1)).mean())


def multi_resolution(reference: Signal, degraded: Signal) -> float:
    """Spectral convergence plus mean absolute log-amplitude difference (nepers), averaged over `RESOLUTIONS`.

    Both [N] at 16 kHz, aligned. Raises MetricError: silent, or shorter than the longest window.
    """
    validate(reference, degraded)
    if len(reference) < (longest := RESOLUTIONS[-1][2]):
        raise MetricError(f"too short: got {len(reference)} samples, expected {longest} or more")
    total = 0.0
    for n_fft, hop, window in RESOLUTIONS:
        first, second = (amplitudes(signal, n_fft=n_fft, hop=hop, window=window) for signal in (reference, degraded))
        convergence = np.linalg.norm(first - second) / np.linalg.norm(first)
        logarithms = np.log(np.maximum(first, _AMPLITUDE_FLOOR)) - np.log(np.maximum(second, _AMPLITUDE_FLOOR))
        total += float(convergence + np.abs(logarithms).mean())
    return total / len(RESOLUTIONS)


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"lsd": `log_spectral_distance` in dB, "mr_stft": `multi_resolution`}."""
    return {
        "lsd": log_spectral_distance(reference, degraded),
        "mr_stft": multi_resolution(reference, degraded),
    }
