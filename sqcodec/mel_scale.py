"""Windows, the mel scale and mel filters in NumPy: what every spectrogram is made with."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sqcodec.spectrogram import FeatureConfig

BANDS = 20  # filters that are multiplied at once: together they reach a part of the bins


@lru_cache(maxsize=8)
def hann_window(length: int) -> NDArray[np.float32]:
    """Periodic Hann window [length]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def hz_to_mel(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel scale: linear below 1 kHz (3 mel are 200 Hz), logarithmic above (27 mel are a factor 6.4)."""
    logarithmic = 15.0 + 27.0 * np.log(np.maximum(frequency, 1e-9) / 1000.0) / math.log(6.4)
    return np.where(frequency < 1000.0, frequency * 3.0 / 200.0, logarithmic)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `hz_to_mel`."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) / 27.0 * math.log(6.4)))


@lru_cache(maxsize=8)
def mel_filters(config: FeatureConfig) -> NDArray[np.float32]:
    """Triangular mel filters with Slaney's scale and area normalisation: [F, n_fft // 2 + 1]."""
    low, high = hz_to_mel(np.array([config.f_min, config.f_max]))
    edges = mel_to_hz(np.linspace(low, high, config.n_mels + 2))
    bins = np.linspace(0.0, config.sample_rate / 2, config.n_fft // 2 + 1)
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    triangles = np.maximum(np.minimum(rising, falling), 0.0)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


@lru_cache(maxsize=8)
def mel_bands(config: FeatureConfig) -> list[tuple[int, NDArray[np.float32]]]:
    """`mel_filters` without most of its zeros: (first bin, BANDS filters [BANDS, bins]) in turn, a third of the
    products."""
    filters, bands = mel_filters(config), []
    for start in range(0, len(filters), BANDS):
        part = filters[start : start + BANDS]
        used = part.sum(0).nonzero()[0]
        bands.append((int(used[0]), np.ascontiguousarray(part[:, used[0] : used[-1] + 1])))
    return bands


@lru_cache(maxsize=8)
def fading(config: FeatureConfig, full: float, none: float) -> NDArray[np.float32]:
    """Weights [F]: 1 for bands whose peak is at `full` Hz or below, 0 from `none` Hz on, linear in mel between them."""
    low, high, begin, end = hz_to_mel(np.array([config.f_min, config.f_max, full, none]))
    peaks = np.linspace(low, high, config.n_mels + 2)[1:-1]
    weights: NDArray[np.float32] = np.clip((end - peaks) / (end - begin), 0.0, 1.0).astype(np.float32)
    return weights


@lru_cache(maxsize=8)
def shortest_fft(config: FeatureConfig) -> int:
    """Points of the shortest FFT that holds the window: every 2nd, 4th... bin of a zero-padded FFT is one of its."""
    n_fft = config.n_fft
    while n_fft // 2 >= config.win_length:
        n_fft //= 2
    return n_fft


def refinement_fft(config: FeatureConfig) -> int:
    """Points of the FFT of a refinement: `shortest_fft`, or 5 or 6 eighths of it that hold the window.

    640 for a window of 640, where `shortest_fft` has 1024: two thirds of the operations.
    """
    eighth = shortest_fft(config) / 8
    return next(round(part * eighth) for part in (5, 6, 8) if part * eighth >= config.win_length)


@lru_cache(maxsize=8)
def filters_over(config: FeatureConfig, n_fft: int) -> NDArray[np.float64]:
    """Mel filters [F, bins] over the bins of a shorter FFT; between bins magnitudes are taken as linear."""
    filters = mel_filters(config).astype(np.float64)
    position = np.arange(filters.shape[1]) * (n_fft / config.n_fft)
    fewer: NDArray[np.float64] = filters @ np.maximum(1.0 - np.abs(position[:, None] - np.arange(n_fft // 2 + 1)), 0.0)
    return fewer


@lru_cache(maxsize=8)
def spreading(config: FeatureConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Filters [bins, F] from magnitudes to mel amplitudes, and [F, bins], which spreads one factor per band over the
    bins: the mean over the bands that a bin lies in, the nearest band's where it lies in none. The bins are those of
    `refinement_fft`.
    """
    filters = filters_over(config, refinement_fft(config))
    share = filters / np.maximum(filters.sum(0), 1e-12)
    inside = filters.sum(0).nonzero()[0]
    nearest = inside[np.abs(np.arange(filters.shape[1])[:, None] - inside).argmin(1)]
    return np.ascontiguousarray(filters.T, np.float32), np.ascontiguousarray(share[:, nearest], np.float32)
