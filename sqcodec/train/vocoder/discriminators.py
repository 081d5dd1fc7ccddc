"""Discriminators of the ISTFT vocoder: by period (HiFi-GAN, arXiv 2010.05646), by resolution (UnivNet, 2106.07889) and
on normalised log magnitudes.

Each returns a score map and the outputs of its hidden layers; all but the first layer's are matched between recorded
and synthesised sound. Widths are the recipe's, so that slim ones train on a CPU.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from sqcodec.dsp import hann_window
from sqcodec.recipe import DiscriminatorConfig

_SLOPE = 0.1
_FLOOR, _MIN_DEVIATION = 1e-4, 0.1  # of an orthonormal magnitude, and of its logarithm


class Judgement(NamedTuple):
    """What one discriminator makes of a sound: scores of any shape, high for recordings, and its hidden layers."""

    score: Tensor
    layers: list[Tensor]


class PeriodDiscriminator(nn.Module):
    """Looks at every p-th sample: the p interleaved sounds go through the same strided convolutions in time."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        widths = (1, *channels)
        strides = [3] * (len(channels) - 1) + [1]  # the last layer keeps its rate
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv1d(before, after, 5, stride, padding=2))
            for before, after, stride in zip(widths, channels, strides, strict=False)
        )
        self.score = weight_norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(self, sound: Tensor) -> Judgement:
        """sound [B, N]; what lies beyond a whole number of periods is left out."""
        whole = sound.shape[1] - sound.shape[1] % self.period
        hidden = sound[:, :whole].reshape(len(sound), -1, self.period).transpose(1, 2).flatten(0, 1)[:, None]
        return _judged(hidden, self.layers, self.score)


class ResolutionDiscriminator(nn.Module):
    """Looks at the complex spectrum [B, 2, T, bins] of one FFT length, a quarter of it from frame to frame."""

    def __init__(self, n_fft: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.n_fft = n_fft
        widths = (2, *channels)
        kernels = [(3, 9)] * (len(channels) - 1) + [(3, 3)]
        strides = [(1, 1)] + [(1, 2)] * (len(channels) - 2) + [(1, 1)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2)))
            for before, after, kernel, stride in zip(widths, channels, kernels, strides, strict=False)
        )
        self.score = weight_norm(nn.Conv2d(channels[-1], 1, (3, 3), padding=1))

    def forward(self, sound: Tensor) -> Judgement:
        """sound [B, N], N at least n_fft."""
        frames = sound.float().unfold(1, self.n_fft, self.n_fft // 4) * hann_window(self.n_fft, sound.device)
        spectrum = torch.fft.rfft(frames, norm="ortho")
        return _judged(torch.stack([spectrum.real, spectrum.imag], dim=1), self.layers, self.score)


class LogSpectrumDiscriminator(nn.Module):
    """Looks at log magnitudes [B, 1, T, bins] of one FFT length, each bin normalised by its statistics in recordings.

    Complex spectra of speech are tiny numbers of either sign, and slim networks on them hardly leave chance; these
    inputs have mean 0 and variance 1 from the first step on.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, n_fft: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.n_fft = n_fft
        widths = (1, *channels)
        strides = [(1, 2)] + [(2, 2)] * (len(channels) - 1)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (3, 7), stride, padding=(1, 3)))
            for before, after, stride in zip(widths, channels, strides, strict=False)
        )
        self.score = weight_norm(nn.Conv2d(channels[-1], 1, 3, padding=1))
        self.register_buffer("mean", torch.zeros(n_fft // 2 + 1))
        self.register_buffer("deviation", torch.ones(n_fft // 2 + 1))

    def forward(self, sound: Tensor) -> Judgement:
        """sound [B, N], N at least n_fft."""
        normalised = (self._log_magnitude(sound) - self.mean) / self.deviation
        return _judged(normalised[:, None], self.layers, self.score)

    @torch.no_grad()
    def normalise_(self, recorded: Tensor) -> None:
        """Take the statistics of each bin from recordings [B, N]."""
        magnitudes = self._log_magnitude(recorded).flatten(0, 1)
        self.mean.copy_(magnitudes.mean(0))
        self.deviation.copy_(magnitudes.std(0).clamp_min(_MIN_DEVIATION))

    def _log_magnitude(self, sound: Tensor) -> Tensor:
        frames = sound.float().unfold(1, self.n_fft, self.n_fft // 4) * hann_window(self.n_fft, sound.device)
        spectrum = torch.fft.rfft(frames, norm="ortho")
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return 0.5 * (power + _FLOOR**2).log()


_KINDS = {
    "periods": PeriodDiscriminator,
    "resolutions": ResolutionDiscriminator,
    "log_spectra": LogSpectrumDiscriminator,
}


class Families(nn.Module):
    """The families of a recipe that have members, side by side."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        for name, family in config.families.items():
            self.add_module(name, nn.ModuleList(_KINDS[name](member, family.channels) for member in family.members))

    def forward(self, sound: Tensor) -> dict[str, list[Judgement]]:
        """sound [B, N] -> for each family one judgement a member."""
        return {
            name: [member(sound) for member in cast(nn.ModuleList, family)] for name, family in self.named_children()
        }

    def normalise_(self, recorded: Tensor) -> None:
        """Give the members that normalise their input the statistics of recordings [B, N]."""
        for member in self.modules():
            if isinstance(member, LogSpectrumDiscriminator):
                member.normalise_(recorded)


def _judged(hidden: Tensor, layers: nn.ModuleList, score: nn.Module) -> Judgement:
    outputs = []
    for layer in layers:
        hidden = functional.leaky_relu(layer(hidden), _SLOPE)
        outputs.append(hidden)
    return Judgement(score(hidden), outputs)
