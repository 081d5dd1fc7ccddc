"""What the ISTFT vocoder is trained on: spectra at several resolutions, and what the discriminators say."""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sqcodec.dsp import hann_window, mel_filters
from sqcodec.spectrogram import FEATURES
from sqcodec.train.vocoder.discriminators import Judgement

_FLOOR = 1e-5  # mel amplitudes and magnitudes below it count as it, as in the features
_BINS_A_BAND = 10  # FFT length over mel bands: about 100 bands at 1024 points, as in Vocos


class SpectralLoss(NamedTuple):
    """mel: mean |difference| of log-mel spectra (recorded logarithm); stft: spectral convergence plus mean |difference|
    of log magnitudes (Yamamoto et al., arXiv 1910.11480); both averaged over the resolutions."""

    mel: Tensor
    stft: Tensor


def spectral_loss(
    synthesised: Tensor, recorded: Tensor, resolutions: tuple[int, ...], sample_rate: int
) -> SpectralLoss:
    """Of [B, N] and [B, N], N at least the longest of `resolutions` (FFT lengths; a quarter from frame to frame)."""
    losses = [_at(synthesised, recorded, n_fft, sample_rate) for n_fft in resolutions]
    mel, stft = zip(*losses, strict=True)
    return SpectralLoss(torch.stack(mel).mean(), torch.stack(stft).mean())


def _at(synthesised: Tensor, recorded: Tensor, n_fft: int, sample_rate: int) -> tuple[Tensor, Tensor]:
    filters = _filters(n_fft, sample_rate, synthesised.device)
    synthesised, recorded = _magnitude(synthesised, n_fft), _magnitude(recorded, n_fft)
    mel = (_log(synthesised @ filters.T) - _log(recorded @ filters.T)).abs().mean()
    convergence = (synthesised - recorded).norm() / recorded.norm().clamp_min(_FLOOR)
    return mel, convergence + (_log(synthesised) - _log(recorded)).abs().mean()


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept serves a training later
def _filters(n_fft: int, sample_rate: int, device: torch.device) -> Tensor:
    """[bands, bins], kept on the device: a GPU would be waited for at every copy."""
    whole = replace(FEATURES["log-mel"], sample_rate=sample_rate, f_max=sample_rate / 2)
    return mel_filters(replace(whole, n_fft=n_fft, win_length=n_fft, n_mels=n_fft // _BINS_A_BAND)).to(device)


def _magnitude(sound: Tensor, n_fft: int) -> Tensor:
    """[B, N] -> [B, T, bins]; the square root's slope stays finite at 0."""
    spectrum = torch.fft.rfft(sound.unfold(1, n_fft, n_fft // 4) * hann_window(n_fft, sound.device))
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power.clamp_min(_FLOOR**2).sqrt()


def _log(amplitude: Tensor) -> Tensor:
    return amplitude.clamp_min(_FLOOR).log()


def discriminator_loss(recorded: list[Judgement], synthesised: list[Judgement]) -> Tensor:
    """Hinge: mean over members of mean relu(1 - D(recorded)) + mean relu(1 + D(synthesised)); 0 when it always wins."""
    losses = [
        functional.relu(1 - real.score.float()).mean() + functional.relu(1 + fake.score.float()).mean()
        for real, fake in zip(recorded, synthesised, strict=True)
    ]
    return torch.stack(losses).mean()


def generator_loss(synthesised: list[Judgement]) -> Tensor:
    """Hinge of the generator: mean over members of mean relu(1 - D(synthesised))."""
    return torch.stack([functional.relu(1 - fake.score.float()).mean() for fake in synthesised]).mean()


def matching_loss(recorded: list[Judgement], synthesised: list[Judgement]) -> Tensor:
    """Mean |difference| of the hidden layers of recorded and synthesised sound, the first layer's left out."""
    losses = [
        (real.float().detach() - fake.float()).abs().mean()
        for one, other in zip(recorded, synthesised, strict=True)
        for real, fake in zip(one.layers[1:], other.layers[1:], strict=True)
    ]
    return torch.stack(losses).mean()
