"""Framing, the STFT, pre-emphasis and decibels: pure functions on tensors."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sqcodec import mel_scale
from sqcodec.spectrogram import FeatureConfig


class StftConfig(NamedTuple):
    """Lengths in samples; win_length at least 2 hops and at most n_fft."""

    n_fft: int
    win_length: int
    hop_length: int


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept serves a training later
def hann_window(length: int, device: torch.device) -> Tensor:
    """`mel_scale.hann_window` [length] on a device."""
    return torch.from_numpy(mel_scale.hann_window(length)).to(device)


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


def overlap_add_same(frames: Tensor, config: StftConfig, inside: Tensor | None = None) -> Tensor:
    """Frames [B, T, win_length], windowed twice, -> the sound [B, hop T] nearest to them in the least squares.

    inside: [B, T] bool, False where a row's frames are padding: its sound ends before them, and zeros follow.
    """
    weight = hann_window(config.win_length, frames.device).square().expand(1, frames.shape[1], -1)
    if inside is not None:
        frames, weight = frames * inside[..., None], weight * inside[..., None]
    around = (config.win_length - config.hop_length) // 2
    sound = _overlap_add(frames, config.hop_length)[:, around:-around]
    nearest: Tensor = sound / _overlap_add(weight, config.hop_length)[:, around:-around]
    if inside is not None:
        nearest = nearest.masked_fill(~inside.repeat_interleave(config.hop_length, dim=1), 0.0)  # also 0 / 0
    return nearest


def inverse_stft_same(spectrum: Tensor, config: StftConfig, inside: Tensor | None = None) -> Tensor:
    """Spectrum [B, T, bins] -> the sound [B, hop T] whose frames (`frames_same`) have the spectrum nearest to it.

    inside: see `overlap_add_same`.

    torch.istft centres, which gives (T - 1) hops, and refuses to do without: the window is 0 at its outermost sample.
    """
    return overlap_add_same(frames_of_stft(spectrum, config), config, inside)


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Frames [B, T, n], each hop_length after the last -> their sum [B, n + hop_length (T - 1)]."""
    batch, count, length = frames.shape
    hops = -(-length // hop_length)
    parts = functional.pad(frames, (0, hops * hop_length - length)).view(batch, count, hops, hop_length)
    summed = frames.new_zeros(batch, count + hops - 1, hop_length)
    for part in range(hops):  # quicker than fold
        summed[:, part : part + count] += parts[:, :, part]
    return summed.flatten(1)[:, : length + hop_length * (count - 1)]


def de_emphasise(samples: Tensor, coefficient: float) -> Tensor:
    """The inverse of `pre_emphasise` with a previous sample of 0: [B, N] -> [B, N]."""
    if not coefficient:
        return samples
    filtered, step, factor = samples, 1, coefficient
    while step < samples.shape[-1] and factor > 1e-12:  # 1 / (1 - c z) = (1 + c z) (1 + c^2 z^2) (1 + c^4 z^4) ...
        filtered = filtered + factor * functional.pad(filtered, (step, 0))[..., : filtered.shape[-1]]
        step, factor = 2 * step, factor**2
    return filtered


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def mel_filters(config: FeatureConfig) -> Tensor:
    """`mel_scale.mel_filters` [F, n_fft // 2 + 1], float32."""
    return torch.from_numpy(mel_scale.mel_filters(config))


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def mel_bands(config: FeatureConfig, device: torch.device) -> list[tuple[int, Tensor]]:
    """`mel_scale.mel_bands` on a device."""
    return [(first, torch.from_numpy(filters).to(device)) for first, filters in mel_scale.mel_bands(config)]
