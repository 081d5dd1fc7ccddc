"""Framing, windows, mel filters, pre-emphasis and decibels: pure functions on tensors."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sqcodec.spectrogram import FeatureConfig


class StftConfig(NamedTuple):
    """Lengths in samples; win_length at least 2 hops and at most n_fft."""

    n_fft: int
    win_length: int
    hop_length: int


def reflect_index(index: Tensor, samples: int) -> Tensor:
    """Fold positions outside 0 .. samples-1 back by reflection at the first and last sample (as NumPy's `reflect`).

    Works for any distance, so recordings shorter than the padding are reflected again and again.
    """
    if samples == 1:
        return torch.zeros_like(index)
    period = 2 * (samples - 1)
    folded = index.remainder(period)
    return torch.minimum(folded, period - folded)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept serves a training later
def hann_window(length: int, device: torch.device) -> Tensor:
    """Periodic Hann window [length], float32."""
    return torch.hann_window(length, periodic=True, dtype=torch.float64).float().to(device)


def frames_same(sound: Tensor, config: StftConfig) -> Tensor:
    """Sound [B, hop T] -> frames [B, T, win_length], frame t centred on the middle of hop t; zeros beyond the ends."""
    around = (config.win_length - config.hop_length) // 2
    frames: Tensor = functional.pad(sound, (around, around)).unfold(1, config.win_length, config.hop_length)
    return frames


def stft_of_frames(frames: Tensor, config: StftConfig) -> Tensor:
    """Frames [B, T, win_length] -> spectrum [B, T, bins] under a Hann window, its phase from the first sample on."""
    spectrum: Tensor = torch.fft.rfft(frames * hann_window(config.win_length, frames.device), n=config.n_fft)
    return spectrum


def frames_of_stft(spectrum: Tensor, config: StftConfig) -> Tensor:
    """Spectrum [B, T, bins] -> frames [B, T, win_length], windowed once more."""
    frames = torch.fft.irfft(spectrum, n=config.n_fft)[..., : config.win_length]
    windowed: Tensor = frames * hann_window(config.win_length, spectrum.device)
    return windowed


def overlap_add_same(frames: Tensor, config: StftConfig) -> Tensor:
    """Frames [B, T, win_length], windowed twice, -> the sound [B, hop T] nearest to them in the least squares."""
    weight = hann_window(config.win_length, frames.device).square().expand(1, frames.shape[1], -1)
    around = (config.win_length - config.hop_length) // 2
    sound = _overlap_add(frames, config.hop_length)[:, around:-around]
    nearest: Tensor = sound / _overlap_add(weight, config.hop_length)[:, around:-around]
    return nearest


def stft_same(sound: Tensor, config: StftConfig) -> Tensor:
    """Sound [B, hop T] -> spectrum [B, T, bins]."""
    return stft_of_frames(frames_same(sound, config), config)


def inverse_stft_same(spectrum: Tensor, config: StftConfig) -> Tensor:
    """Spectrum [B, T, bins] -> the sound [B, hop T] whose `stft_same` is nearest to it.

    torch.istft centres, which gives (T - 1) hops, and refuses to do without: the window is 0 at its outermost sample.
    """
    return overlap_add_same(frames_of_stft(spectrum, config), config)


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Frames [B, T, n], each hop_length after the last -> their sum [B, n + hop_length (T - 1)]."""
    batch, count, length = frames.shape
    hops = -(-length // hop_length)
    parts = functional.pad(frames, (0, hops * hop_length - length)).view(batch, count, hops, hop_length)
    summed = frames.new_zeros(batch, count + hops - 1, hop_length)
    for place in range(hops):  # quicker than fold
        summed[:, place : place + count] += parts[:, :, place]
    return summed.flatten(1)[:, : length + hop_length * (count - 1)]


def amplitude_to_db(amplitude: Tensor) -> Tensor:
    """20 log10(amplitude)."""
    return 20.0 * amplitude.log10()


def db_to_amplitude(db: Tensor) -> Tensor:
    """10^(dB / 20)."""
    return (db * (math.log(10.0) / 20.0)).exp()


def pre_emphasise(samples: Tensor, previous: float, coefficient: float) -> Tensor:
    """y[n] = x[n] - coefficient * x[n - 1] along the last axis [.., N]; `previous` is x[-1]."""
    delayed = torch.cat([samples.new_full((*samples.shape[:-1], 1), previous), samples[..., :-1]], dim=-1)
    return samples - coefficient * delayed


def de_emphasise(samples: Tensor, coefficient: float) -> Tensor:
    """The inverse of `pre_emphasise` with a previous sample of 0: [B, N] -> [B, N]."""
    if not coefficient:
        return samples
    made, step, factor = samples, 1, coefficient
    while step < samples.shape[-1] and factor > 1e-12:  # 1 / (1 - c z) = (1 + c z) (1 + c^2 z^2) (1 + c^4 z^4) ...
        made = made + factor * functional.pad(made, (step, 0))[..., : made.shape[-1]]
        step, factor = 2 * step, factor**2
    return made


def hz_to_mel(frequency: Tensor) -> Tensor:
    """Slaney's mel scale: linear below 1 kHz (3 mel are 200 Hz), logarithmic above (27 mel are a factor 6.4)."""
    linear = frequency * 3.0 / 200.0
    logarithmic = 15.0 + 27.0 * torch.log(frequency.clamp_min(1e-9) / 1000.0) / math.log(6.4)
    return torch.where(frequency < 1000.0, linear, logarithmic)


def mel_to_hz(mel: Tensor) -> Tensor:
    """The inverse of `hz_to_mel`."""
    linear = mel * 200.0 / 3.0
    logarithmic = 1000.0 * torch.exp((mel - 15.0) / 27.0 * math.log(6.4))
    return torch.where(mel < 15.0, linear, logarithmic)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def mel_filters(config: FeatureConfig) -> Tensor:
    """Triangular mel filters with Slaney's scale and area normalisation: [F, n_fft // 2 + 1], float32."""
    limits = hz_to_mel(torch.tensor([config.f_min, config.f_max], dtype=torch.float64))
    edges = mel_to_hz(torch.linspace(limits[0].item(), limits[1].item(), config.n_mels + 2, dtype=torch.float64))
    bins = torch.linspace(0.0, config.sample_rate / 2, config.n_fft // 2 + 1, dtype=torch.float64)
    width = edges.diff()
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    triangles = torch.minimum(rising, falling).clamp_min(0.0)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).float()


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def mel_bands(config: FeatureConfig, device: torch.device) -> list[tuple[int, Tensor]]:
    """`mel_filters` without most of its zeros: (first bin, 20 filters [20, bins]) in turn, a third of the products."""
    bands = []
    twenties: tuple[Tensor, ...] = torch.split(mel_filters(config), 20)
    for filters in twenties:
        used = filters.sum(0).nonzero().flatten()
        first, last = int(used[0]), int(used[-1])
        bands.append((first, filters[:, first : last + 1].contiguous().to(device)))
    return bands
