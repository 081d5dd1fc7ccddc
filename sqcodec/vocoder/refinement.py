"""A few Griffin-Lim iterations that bring the spectrogram of a sound closer to the target features.

The sound's own fine structure stays: each magnitude is scaled as its mel bands are off, not replaced by what the bands
alone would say. Decoded features are too smooth across the bands, and more so the higher the band: a target with
contrast, and corrections that fade, keep the sound from becoming as smooth (docs/results/vocoders.md). Frame t of the
features lies in the middle of samples hop t to hop (t + 1) - 1.
"""

from functools import lru_cache

import torch
from torch import Tensor

from sqcodec import mel_scale
from sqcodec.arrays import mel_amplitude, pre_emphasise
from sqcodec.dsp import StftConfig, de_emphasise, frames_of_stft, frames_same, overlap_add_same, stft_of_frames
from sqcodec.nn.padding import within
from sqcodec.spectrogram import FeatureConfig

_MIN_AMPLITUDE = 1e-9  # amplitude below which a phase means nothing
_FRAMES_AT_ONCE = 128  # their spectra stay in the cache, which saves a third of the time
_MAX_FACTOR = 100.0  # a band is raised or lowered by 40 dB at most in one iteration


def spread(config: FeatureConfig) -> int:
    """Frames on each side that one iteration reaches: as many by the STFT as by its inverse."""
    return 2 * -(-(config.win_length - config.hop_length) // (2 * config.hop_length))


def refine(
    sound: Tensor,
    features: Tensor,
    config: FeatureConfig,
    *,
    iterations: int,
    momentum: float,
    fades: tuple[float, float] | None = None,
    contrast: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """sound [B, hop T], features [B, F, T] -> sound [B, hop T] (fast Griffin-Lim, Perraudin et al., WASPAA 2013).

    fades: Hz up to which the error of a band is corrected in full, and from which on not at all; None: in full.
    contrast: [F, F], what the target gains of the features of a frame, at the power of before; None: nothing. lengths:
    [B], the frames of each row without padding; None: all T.
    """
    if not iterations:
        return sound
    inside = None if lengths is None else within(lengths, features.shape[-1])
    emphasised = pre_emphasise(sound, 0.0, config.pre_emphasis)
    if inside is not None:
        emphasised = emphasised * inside.repeat_interleave(config.hop_length, dim=1)
    step = _Step(config, momentum, fades, sound.device)
    refined = _refined(emphasised, _target(features, contrast, config), step, inside, iterations)
    return de_emphasise(refined, config.pre_emphasis)


def _target(features: Tensor, contrast: Tensor | None, config: FeatureConfig) -> Tensor:
    """Mel amplitudes [B, F, T]; the contrast raises peaks more than it lowers valleys, so each frame is made softer."""
    plain = mel_amplitude(features, config.dynamic_range)
    if contrast is None:
        return plain
    sharp = mel_amplitude(features + contrast @ features, config.dynamic_range)
    before, after = (each.square().sum(1, keepdim=True).clamp_min(_MIN_AMPLITUDE**2) for each in (plain, sharp))
    return sharp * (before / after).sqrt()


def _refined(sound: Tensor, target: Tensor, step: "_Step", inside: Tensor | None, iterations: int) -> Tensor:
    stft = _stft(step.config)
    targets = _split(target.transpose(1, 2))
    before: list[Tensor | None] = [None] * len(targets)
    for _ in range(iterations):
        parts = _split(frames_same(sound, stft))
        corrected = []
        for index, (frames, mel) in enumerate(zip(parts, targets, strict=True)):
            spectrum = stft_of_frames(frames, stft)
            corrected.append(frames_of_stft(step(spectrum, before[index], mel), stft))
            before[index] = spectrum
        sound = overlap_add_same(torch.cat(corrected, dim=1), stft, inside)
    return sound


class _Step:
    """One iteration on spectra."""

    def __init__(
        self, config: FeatureConfig, momentum: float, fades: tuple[float, float] | None, device: torch.device
    ) -> None:
        self.config, self._momentum = config, momentum
        self._filters, self._spread = _filters(config, device)
        self._strength = None if fades is None else torch.from_numpy(mel_scale.fading(config, *fades)).to(device)

    def __call__(self, spectrum: Tensor, before: Tensor | None, mel: Tensor) -> Tensor:
        """The spectrum [B, t, bins] with the target mel amplitudes, and phases extrapolated from the last iteration."""
        magnitude = _power(spectrum).sqrt_()
        errors = (mel / (magnitude @ self._filters).clamp_min_(_MIN_AMPLITUDE)).clamp_(1 / _MAX_FACTOR, _MAX_FACTOR)
        factor = (errors if self._strength is None else errors.pow_(self._strength)) @ self._spread
        pushed = spectrum if before is None else torch.sub(spectrum, before).mul_(self._momentum).add_(spectrum)
        corrected: Tensor = pushed * factor.mul_(magnitude).mul_(_power(pushed).rsqrt_())
        return corrected


def _split(frames: Tensor) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = torch.split(frames, _FRAMES_AT_ONCE, dim=1)
    return parts


def _power(spectrum: Tensor) -> Tensor:
    power: Tensor = spectrum.real.square().addcmul(spectrum.imag, spectrum.imag)
    return power.clamp_min(_MIN_AMPLITUDE**2)


def _stft(config: FeatureConfig) -> StftConfig:
    n_fft = mel_scale.refinement_fft(config)
    return StftConfig(n_fft=n_fft, win_length=config.win_length, hop_length=config.hop_length)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _filters(config: FeatureConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """`mel_scale.spreading` on a device."""
    filters, spread = mel_scale.spreading(config)
    return torch.from_numpy(filters).to(device), torch.from_numpy(spread).to(device)
