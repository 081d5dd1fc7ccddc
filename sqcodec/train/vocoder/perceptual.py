"""What a listener would mind, as losses: loudness that differs (after ITU-T P.862), envelopes that are not alike (after
ESTOI). Approximations that have gradients, not the measures: sqcodec.metrics has those.

Each crop is raised to the level of speech, a pause with its background as well: the spectral losses beside these see
levels as they are.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from sqcodec.dsp import hann_window

_BARK_BANDS, _LOWEST, _HIGHEST = 49, 50.0, 7900.0  # Hz
_LOUDNESS_WINDOW = 0.032  # seconds, half of it from frame to frame
_SPEECH = 10**7.9  # power of the audible frames, summed over the bands: 79 dB
_AUDIBLE = 1e-4  # of the loudest frame's power
_GAIN_FLOOR, _GAINS = 5e3, (3e-4, 5.0)
_LOUDNESS, _ZWICKER = 0.1866, 0.23
_MASKED = 0.25  # of the softer of the two loudnesses: a difference below it is not heard
_ADDED, _LEAST_ADDED, _MOST_ADDED = 1.2, 3.0, 12.0  # exponent and limits of the weight of what was not in the recording
_WORST = 45.0
_SYLLABLE, _SYLLABLE_STEP = 20, 10  # frames; their worst count most
_SYLLABLE_NORM = 6

_ENVELOPE_WINDOW = 0.0256
_SEGMENT, _SEGMENT_STEP = 30, 5
_THIRDS, _FIRST_THIRD = 15, 150.0
_TINY = 1e-12


class PerceptualLoss(NamedTuple):
    """disturbance: 0.1 D + 0.0309 DA of P.862, the MOS that is lost; envelopes: 1 - correlation of ESTOI; means over
    the batch."""

    disturbance: Tensor
    envelopes: Tensor


def perceptual_loss(synthesised: Tensor, recorded: Tensor, sample_rate: int) -> PerceptualLoss:
    """Of [B, N] and [B, N], aligned, N at least `shortest(sample_rate)`; the level of `recorded` does not matter."""
    symmetric, added = _disturbances(synthesised, recorded, sample_rate)
    correlation = _envelope_correlation(synthesised, recorded, sample_rate)
    return PerceptualLoss((0.1 * symmetric + 0.0309 * added).mean(), (1 - correlation).mean())


def shortest(sample_rate: int) -> int:
    """Samples of one segment of envelopes."""
    window = _even(_ENVELOPE_WINDOW, sample_rate)
    return window + (_SEGMENT - 1) * (window // 2)


def _disturbances(synthesised: Tensor, recorded: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """D and DA [B] (ITU-T P.862, 10.2, as in its C code): differences of loudness, and those of them that were added.

    Unlike there, the signals are taken as aligned and unfiltered; bands and thresholds follow formulas (Traunmueller's
    Bark scale, Terhardt's threshold in quiet), with one exponent of loudness; frames are compensated in gain by all of
    their power and each for itself; the last frames count as the first. The gain, the weight of what was added, and
    frames that are as bad as can be have no gradient.
    """
    filters, threshold, width = _bark(sample_rate, recorded.device)
    window = _even(_LOUDNESS_WINDOW, sample_rate)
    clean, degraded = (_powers(sound, window) @ filters for sound in (recorded, synthesised))
    total = clean.sum(-1)
    audible = total > _AUDIBLE * total.amax(1, keepdim=True)
    level = (total * audible).sum(1) / audible.sum(1).clamp_min(1)
    to_speech = (_SPEECH / level.clamp_min(1e-6))[:, None, None]
    clean, degraded = clean * to_speech, degraded * to_speech
    gain = ((clean.sum(-1) + _GAIN_FLOOR) / (degraded.sum(-1) + _GAIN_FLOOR)).clamp(*_GAINS).detach()
    degraded = degraded * gain[..., None]
    loud, other = _loudness(clean, threshold), _loudness(degraded, threshold)
    difference = other - loud
    heard = (difference.abs() - _MASKED * torch.minimum(loud, other)).clamp_min(0)
    ratio = (((degraded + 50) / (clean + 50)) ** _ADDED).detach()
    added = torch.where(ratio < _LEAST_ADDED, torch.zeros_like(ratio), ratio.clamp_max(_MOST_ADDED))
    symmetric = (heard * width).square().sum(-1).clamp_min(_TINY).sqrt() * math.sqrt(width * _BARK_BANDS)
    asymmetric = (heard * added * width).sum(-1)
    emphasis = ((clean.sum(-1) + 1e5) / 1e7) ** 0.04
    return _over_time(symmetric / emphasis), _over_time(asymmetric / emphasis)


def _loudness(power: Tensor, threshold: Tensor) -> Tensor:
    """Sone [B, T, bands], by Zwicker's law."""
    raised = (0.5 + 0.5 * power / threshold).clamp_min(1e-9) ** _ZWICKER - 1
    return (_LOUDNESS * (threshold / 0.5) ** _ZWICKER * raised).clamp_min(0)


def _over_time(disturbance: Tensor) -> Tensor:
    """Frames [B, T] -> [B]: an L6 norm within syllables, the root mean square of them."""
    frames = disturbance.clamp_max(_WORST)
    if frames.shape[1] < _SYLLABLE:
        return _mean_norm(frames)
    return _mean_norm(frames.unfold(1, _SYLLABLE, _SYLLABLE_STEP)).square().mean(1).sqrt()


def _mean_norm(values: Tensor) -> Tensor:
    norm: Tensor = (values**_SYLLABLE_NORM).mean(-1).clamp_min(_TINY) ** (1 / _SYLLABLE_NORM)
    return norm


def _envelope_correlation(synthesised: Tensor, recorded: Tensor, sample_rate: int) -> Tensor:
    """ESTOI [B] (Jensen and Taal, 2016, equations 2 to 8) at the sounds' own rate, of all frames, silent ones too; of
    every fifth segment, its norms with a floor."""
    window = _even(_ENVELOPE_WINDOW, sample_rate)
    thirds = _thirds(sample_rate, window, recorded.device)
    clean, degraded = (
        (_powers(sound, window) @ thirds).clamp_min(1e-10).sqrt().transpose(1, 2) for sound in (recorded, synthesised)
    )
    level = clean.square().mean((1, 2), keepdim=True).sqrt() + 1e-5
    one, other = (_normalised((bands / level).unfold(2, _SEGMENT, _SEGMENT_STEP)) for bands in (clean, degraded))
    correlation: Tensor = (one * other).sum(1).mean((1, 2))
    return correlation


def _normalised(segments: Tensor) -> Tensor:
    """[B, bands, S, frames]: rows in time, then columns over the bands, to mean 0 and norm 1."""
    for axis in (3, 1):
        centred = segments - segments.mean(axis, keepdim=True)
        segments = centred / (centred.norm(dim=axis, keepdim=True) + 1e-3)
    return segments


def _powers(sound: Tensor, window: int) -> Tensor:
    """[B, N] -> [B, T, bins], half of the window from frame to frame; the FFT is the next power of two."""
    n_fft = 1 << (window - 1).bit_length()
    spectrum = torch.fft.rfft(sound.unfold(1, window, window // 2) * hann_window(window, sound.device), n=n_fft)
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power


def _even(seconds: float, sample_rate: int) -> int:
    return 2 * round(seconds * sample_rate / 2)


def _frequencies(sample_rate: int, window: int) -> Tensor:
    bins = (1 << (window - 1).bit_length()) // 2 + 1
    return torch.arange(bins) * (sample_rate / 2 / (bins - 1))


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _bark(sample_rate: int, device: torch.device) -> tuple[Tensor, Tensor, float]:
    """Triangular filters [bins, bands], thresholds in quiet [bands], and the bands' distance in Bark."""
    frequencies = _frequencies(sample_rate, _even(_LOUDNESS_WINDOW, sample_rate))
    bark = 26.81 * frequencies / (1960 + frequencies) - 0.53
    low, high = (26.81 * hz / (1960 + hz) - 0.53 for hz in (_LOWEST, min(_HIGHEST, 0.49 * sample_rate)))
    width = (high - low) / _BARK_BANDS
    centres = low + width * (torch.arange(_BARK_BANDS) + 0.5)
    distance = (bark[:, None] - centres).abs()
    filters = (1 - distance / width).clamp_min(0)
    empty = filters.sum(0) == 0
    filters[distance.argmin(0)[empty], empty.nonzero()[:, 0]] = 1
    kilohertz = 1.96 * (centres + 0.53) / (26.81 - 0.53 - centres)
    decibels = 3.64 * kilohertz**-0.8 - 6.5 * (-0.6 * (kilohertz - 3.3) ** 2).exp() + 1e-3 * kilohertz**4
    return filters.to(device), (10 ** (decibels / 10)).to(device), width


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _thirds(sample_rate: int, window: int, device: torch.device) -> Tensor:
    """[bins, bands]: 1 in the third of an octave that a bin lies in."""
    centres = _FIRST_THIRD * 2 ** (torch.arange(_THIRDS) / 3)
    frequencies = _frequencies(sample_rate, window)[:, None]
    inside = (frequencies >= centres * 2 ** (-1 / 6)) & (frequencies < centres * 2 ** (1 / 6))
    return inside.float().to(device)
