"""Distances of short-time spectra: log-spectral and at several resolutions.

Log-spectral distance: Gray and Markel, IEEE TASSP 24(5), 1976. Multi-resolution STFT distance: Yamamoto, Song and Kim,
ICASSP 2020 (Parallel WaveGAN), eq. 3 to 6.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError
from sqcodec.metrics.signals import Signal, validate

RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))  # n_fft, hop, window, in samples
_POWER_FLOOR = 1e-10  # -100 dB of a full-scale sine's peak bin or so: what lies below counts as this
_AMPLITUDE_FLOOR = 1e-7
_FRAMES_AT_ONCE = 4096  # so that memory does not grow with the length

_Array = NDArray[np.float64]


def amplitudes(signal: Signal, *, n_fft: int, hop: int, window: int) -> Iterator[_Array]:
    """|STFT| in blocks [t, n_fft / 2 + 1]: periodic Hann of unit sum, centred frames, zeros beyond the edges."""
    half = window // 2
    padded = np.pad(signal, (half, half))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        yield np.abs(np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * (hann / hann.sum()), n_fft))


def _both(reference: Signal, degraded: Signal, *, n_fft: int, hop: int, window: int) -> Iterator[tuple[_Array, _Array]]:
    return zip(
        amplitudes(reference, n_fft=n_fft, hop=hop, window=window),
        amplitudes(degraded, n_fft=n_fft, hop=hop, window=window),
        strict=True,
    )


def log_spectral_distance(reference: Signal, degraded: Signal) -> float:
    """Mean over frames of the root mean square over frequency of the difference in dB; 32 ms Hann, hop 8 ms.

    Both [N] at 16 kHz, aligned. Powers below 1e-10 of full scale count as that. Raises MetricError: silent.
    """
    validate(reference, degraded)
    distances = []
    for blocks in _both(reference, degraded, n_fft=512, hop=128, window=512):
        first, second = (10.0 * np.log10(block**2 + _POWER_FLOOR) for block in blocks)
        distances.append(np.sqrt(((first - second) ** 2).mean(1)))
    return float(np.concatenate(distances).mean())


def multi_resolution(reference: Signal, degraded: Signal) -> float:
    """Spectral convergence plus mean absolute log-amplitude difference (nepers), averaged over `RESOLUTIONS`.

    Both [N] at 16 kHz, aligned. Raises MetricError: silent, or shorter than the longest window.
    """
    validate(reference, degraded)
    if len(reference) < (longest := RESOLUTIONS[-1][2]):
        raise MetricError(f"too short: got {len(reference)} samples, expected {longest} or more")
    return sum(_one_resolution(reference, degraded, *sizes) for sizes in RESOLUTIONS) / len(RESOLUTIONS)


def _one_resolution(reference: Signal, degraded: Signal, n_fft: int, hop: int, window: int) -> float:
    squared = energy = logarithms = 0.0
    values = 0
    for first, second in _both(reference, degraded, n_fft=n_fft, hop=hop, window=window):
        squared += float(((first - second) ** 2).sum())
        energy += float((first**2).sum())
        logarithms += float(
            np.abs(np.log(np.maximum(first, _AMPLITUDE_FLOOR)) - np.log(np.maximum(second, _AMPLITUDE_FLOOR))).sum()
        )
        values += first.size
    return float(np.sqrt(squared / energy)) + logarithms / values


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"lsd": `log_spectral_distance` in dB, "mr_stft": `multi_resolution`}."""
    return {
        "lsd": log_spectral_distance(reference, degraded),
        "mr_stft": multi_resolution(reference, degraded),
    }
