"""A few Griffin-Lim iterations that bring the spectrogram of a sound closer to the target features.

The sound's own fine structure stays: each magnitude is scaled as its mel bands are off, not replaced by what the bands
alone would say. Frame t of the features lies in the middle of samples hop t to hop (t + 1) - 1.
"""

from functools import lru_cache

import torch
from torch import Tensor

from sqcodec.dsp import (
    StftConfig,
    db_to_amplitude,
    de_emphasise,
    frames_of_stft,
    frames_same,
    mel_filters,
    overlap_add_same,
    pre_emphasise,
    stft_of_frames,
)
from sqcodec.spectrogram import FeatureConfig

_SMALLEST = 1e-9  # amplitude below which a phase means nothing
_FRAMES_AT_ONCE = 128  # their spectra stay in the cache, which saves a third of the time
_MOST = 100.0  # a band is raised or lowered by 40 dB at most in one iteration


def spread(config: FeatureConfig) -> int:
    """Frames on each side that one iteration reaches: as many by the STFT as by its inverse."""
    return 2 * -(-(config.win_length - config.hop_length) // (2 * config.hop_length))


def refine(sound: Tensor, features: Tensor, config: FeatureConfig, *, iterations: int, momentum: float) -> Tensor:
    """sound [B, hop T], features [B, F, T] -> sound [B, hop T] (fast Griffin-Lim, Perraudin et al., WASPAA 2013)."""
    if not iterations:
        return sound
    emphasised = pre_emphasise(sound, 0.0, config.pre_emphasis)
    refined = _refined(emphasised, features, config, iterations=iterations, momentum=momentum)
    return de_emphasise(refined, config.pre_emphasis)


def _refined(sound: Tensor, features: Tensor, config: FeatureConfig, *, iterations: int, momentum: float) -> Tensor:
    stft = shortest_stft(config)
    targets = _split(mel_amplitude(features, config).transpose(1, 2))
    before: list[Tensor | None] = [None] * len(targets)
    for _ in range(iterations):
        parts = _split(frames_same(sound, stft))
        corrected = []
        for index, (frames, mel) in enumerate(zip(parts, targets, strict=True)):
            spectrum = stft_of_frames(frames, stft)
            corrected.append(frames_of_stft(_corrected(spectrum, before[index], mel, config, momentum), stft))
            before[index] = spectrum
        sound = overlap_add_same(torch.cat(corrected, dim=1), stft)
    return sound


def _corrected(spectrum: Tensor, before: Tensor | None, mel: Tensor, config: FeatureConfig, momentum: float) -> Tensor:
    """The spectrum [B, t, bins] with the target mel amplitudes, and phases extrapolated from the last iteration."""
    filters, spread = _filters(config, spectrum.device)
    magnitude = _power(spectrum).sqrt_()
    factor = (mel / (magnitude @ filters).clamp_min_(_SMALLEST)).clamp_(1 / _MOST, _MOST) @ spread
    pushed = spectrum if before is None else torch.sub(spectrum, before).mul_(momentum).add_(spectrum)
    corrected: Tensor = pushed * factor.mul_(magnitude).mul_(_power(pushed).rsqrt_())
    return corrected


def _split(frames: Tensor) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = torch.split(frames, _FRAMES_AT_ONCE, dim=1)
    return parts


def _power(spectrum: Tensor) -> Tensor:
    power: Tensor = spectrum.real.square().addcmul(spectrum.imag, spectrum.imag)
    return power.clamp_min(_SMALLEST**2)


def mel_amplitude(features: Tensor, config: FeatureConfig) -> Tensor:
    """Features [.., F, T] -> the mel amplitudes they are the logarithms of."""
    if config.dynamic_range is None:
        return features.exp()
    return db_to_amplitude((features - 1.0) * config.dynamic_range)


def shortest_stft(config: FeatureConfig) -> StftConfig:
    """Every 2nd, 4th... bin of a zero-padded FFT is a bin of the shorter one: 512 points do for a window of 400."""
    n_fft = config.n_fft
    while n_fft // 2 >= config.win_length:
        n_fft //= 2
    return StftConfig(n_fft=n_fft, win_length=config.win_length, hop_length=config.hop_length)


def shortest_filters(config: FeatureConfig) -> Tensor:
    """Mel filters [F, bins] over the bins of `shortest_stft`, float64; between bins magnitudes are taken as linear."""
    filters = mel_filters(config).double()
    stride = config.n_fft // shortest_stft(config).n_fft
    position = torch.arange(filters.shape[1], dtype=torch.float64) / stride
    nodes = torch.arange((filters.shape[1] - 1) // stride + 1, dtype=torch.float64)
    return filters @ (1.0 - (position[:, None] - nodes).abs()).clamp_min(0.0)


@lru_cache(maxsize=8)
def _filters(config: FeatureConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Filters [bins, F] from magnitudes to mel amplitudes, and [F, bins], which spreads one factor per band over the
    bins: the mean over the bands that a bin lies in, the nearest band's where it lies in none."""
    filters = shortest_filters(config)
    share = filters / filters.sum(0).clamp_min(1e-12)
    bins = torch.arange(filters.shape[1])
    inside = filters.sum(0).nonzero().flatten()
    nearest = inside[(bins[:, None] - inside).abs().argmin(1)]
    return filters.T.contiguous().float().to(device), share[:, nearest].contiguous().float().to(device)
