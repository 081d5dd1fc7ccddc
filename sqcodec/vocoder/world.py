"""The WORLD vocoder (Morise et al., IEICE E99-D(7), 2016): a network maps the spectrogram to F0, voicing, envelope and
aperiodicity, and pyworld makes sound of them. Sounds without voice get no pulses, so they do not buzz.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sqcodec.nn.convnext import Trunk
from sqcodec.recipe import WorldConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.vocoder.interface import Vocoder
from sqcodec.windows import windows, with_last_repeated

F0_LOW, F0_HIGH, F0_CLASSES = 60.0, 800.0, 180  # Hz; classes of 25 cents
_CENTS = 1200.0 * math.log2(F0_HIGH / F0_LOW) / F0_CLASSES
_AROUND = 3  # classes on each side of the likeliest that the F0 is averaged over
_SEGMENT = 1000  # frames after which the next pause between voiced sounds ends a segment
_LONGEST = 4 * _SEGMENT  # frames after which a segment ends even within a voiced sound

_Frames = NDArray[np.float64]


class WorldParameters(NamedTuple):
    """f0: [T] in Hz, 0 where unvoiced; envelope: [T, n] coded by pyworld; aperiodicity: [T, a] coded, in dB, one
    band up to 16 kHz and more beyond."""

    f0: _Frames
    envelope: _Frames
    aperiodicity: _Frames


class Prediction(NamedTuple):
    """The network's output: voicing logits [B, T], F0 class logits [B, T, classes], envelope [B, T, n] and
    aperiodicity [B, T, a], both scaled to zero mean and unit variance over the training data."""

    voicing: Tensor
    f0: Tensor
    envelope: Tensor
    aperiodicity: Tensor


def analyse(sound: NDArray[np.float32], config: FeatureConfig, *, envelope: int) -> WorldParameters:
    """Sound [N] -> parameters of its 1 + floor(N / hop) frames: harvest and StoneMask, CheapTrick, D4C."""
    import pyworld  # slow to import

    samples, rate, size = sound.astype(np.float64), config.sample_rate, fft_size(config)
    f0, times = pyworld.harvest(samples, rate, f0_floor=F0_LOW, f0_ceil=F0_HIGH, frame_period=_period(config))
    f0 = pyworld.stonemask(samples, f0, times, rate)
    spectrum = pyworld.cheaptrick(samples, f0, times, rate, fft_size=size)
    aperiodicity = pyworld.d4c(samples, f0, times, rate, fft_size=size)
    return WorldParameters(
        f0,
        pyworld.code_spectral_envelope(spectrum, rate, envelope),
        pyworld.code_aperiodicity(aperiodicity, rate),
    )


def aperiodicity_bands(config: FeatureConfig) -> int:
    """Bands of the coded aperiodicity: 1 at 16 kHz, 3 at 24, 5 at 48."""
    import pyworld

    return int(pyworld.get_num_aperiodicities(config.sample_rate))


def _period(config: FeatureConfig) -> float:
    return 1000.0 * config.hop_length / config.sample_rate  # ms


def fft_size(config: FeatureConfig) -> int:
    """Of the spectral envelope: 1024 at 16 kHz."""
    import pyworld

    return int(pyworld.get_cheaptrick_fft_size(config.sample_rate))


def synthesise(parameters: WorldParameters, config: FeatureConfig) -> NDArray[np.float32]:
    """Parameters of T frames -> sound [hop T], frame t on sample hop t."""
    import pyworld

    rate, size = config.sample_rate, fft_size(config)
    envelope, aperiodicity = map(np.ascontiguousarray, (parameters.envelope, parameters.aperiodicity))
    sound = pyworld.synthesize(
        np.ascontiguousarray(parameters.f0),
        pyworld.decode_spectral_envelope(envelope, rate, size),
        pyworld.decode_aperiodicity(aperiodicity, rate, size),
        rate,
        _period(config),
    )
    fitted: NDArray[np.float32] = np.resize(sound, config.hop_length * len(parameters.f0)).astype(np.float32)
    fitted[len(sound) :] = 0.0
    return fitted


def louder_envelope(config: FeatureConfig, *, envelope: int) -> _Frames:
    """What the coded envelope [n] gains when every power is multiplied by e: the code is linear in the logarithm."""
    import pyworld

    loud = np.full((1, fft_size(config) // 2 + 1), np.e)
    code: _Frames = pyworld.code_spectral_envelope(loud, config.sample_rate, envelope)[0]
    return code


def f0_class(f0: Tensor) -> Tensor:
    """F0 in Hz -> its class position, a real number; class c is centred on c + 0.5."""
    position: Tensor = torch.log2(f0.clamp(F0_LOW, F0_HIGH) / F0_LOW) * (1200.0 / _CENTS)
    return position


def f0_of(logits: Tensor) -> Tensor:
    """Class logits [.., classes] -> F0 in Hz: the mean position of the likeliest class and its neighbours."""
    best = logits.argmax(-1, keepdim=True)
    classes = torch.arange(F0_CLASSES, device=logits.device)
    weight = torch.where((classes - best).abs() <= _AROUND, logits.softmax(-1), 0.0)
    position = (weight * (classes + 0.5)).sum(-1) / weight.sum(-1)
    return F0_LOW * torch.exp2(position * _CENTS / 1200.0)


class WorldNetwork(nn.Module):
    """Features [B, F, T] -> `Prediction`; `behind` and `ahead` frames of context make a block equal the whole."""

    def __init__(self, config: WorldConfig, features: FeatureConfig) -> None:
        super().__init__()
        self.trunk = Trunk(
            n_mels=features.n_mels,
            dim=config.dim,
            hidden=config.hidden,
            layers=config.layers,
            lookahead=config.lookahead,
        )
        bands = aperiodicity_bands(features)
        self.sizes = [1, F0_CLASSES, config.envelope, bands]
        self.head = nn.Linear(config.dim, sum(self.sizes))
        self.behind, self.ahead = self.trunk.behind, self.trunk.ahead
        # Mean and standard deviation (in files: deviation) of the coefficients of envelope and aperiodicity.
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(config.envelope + bands))
        self.register_buffer("deviation", torch.ones(config.envelope + bands))

    @torch.no_grad()
    def normalise_(self, mean: Tensor, std: Tensor) -> None:
        """Set mean and standard deviation [n + a] of coded envelope and aperiodicity over the training data."""
        self.mean.copy_(mean)
        self.deviation.copy_(std.clamp_min(1e-3))

    def forward(self, features: Tensor) -> Prediction:
        """features [B, F, T] float32."""
        voicing, f0, envelope, aperiodicity = self.head(self.trunk(features)).float().split(self.sizes, dim=-1)
        return Prediction(voicing[..., 0], f0, envelope, aperiodicity)

    def parameters_of(self, prediction: Prediction) -> list[WorldParameters]:
        """One set of parameters for each of the batch."""
        f0 = torch.where(prediction.voicing > 0, f0_of(prediction.f0), 0.0)
        coded = torch.cat([prediction.envelope, prediction.aperiodicity], dim=-1) * self.deviation + self.mean
        envelope, aperiodicity = coded[..., : self.sizes[2]], coded[..., self.sizes[2] :]
        arrays = (value.double().cpu().numpy() for value in (f0, envelope, aperiodicity.clamp_max(0.0)))
        return [WorldParameters(*one) for one in zip(*arrays, strict=True)]


class WorldVocoder(Vocoder):
    """A trained network with pyworld, for inference: sound at the level of the features."""

    kind: Literal["world"] = "world"

    def __init__(self, network: WorldNetwork, features: FeatureConfig) -> None:
        self.network, self.features = network.eval(), features

    def synthesise(self, features: Tensor) -> Tensor:
        """features [B, F, T] -> sound [B, hop T - hop / 2], frame t on sample hop t."""
        hop = self.features.hop_length
        length = hop * features.shape[2] - hop // 2
        return torch.stack(
            [
                torch.from_numpy(np.concatenate(list(self.render([one.numpy(force=True)], length))))
                for one in features.unbind()
            ]
        )

    @torch.inference_mode()
    def render(
        self, pieces: Iterable[NDArray[np.float32]], samples: int, *, stages: float | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Features [F, t] piece after piece -> sound [n], together `samples` long; how they come changes nothing.

        pyworld makes one segment at a time, of 10 s or a little more, which end where no voice sounds. stages: as of
        `Vocoder`; it changes nothing here.
        """
        del stages
        returned = 0
        for segment in _segments(self._predicted(pieces)):
            piece = synthesise(segment, self.features)[: samples - returned]
            returned += len(piece)
            yield piece
        yield np.zeros(samples - returned, np.float32)

    def _predicted(self, pieces: Iterable[NDArray[np.float32]]) -> Iterator[WorldParameters]:
        device = next(self.network.parameters()).device
        extended = with_last_repeated(pieces)
        for window in windows(extended, behind=self.network.behind, ahead=self.network.ahead):
            whole = self.network.parameters_of(self.network(torch.as_tensor(window.features)[None].to(device)))[0]
            yield WorldParameters(*(value[window.start : window.stop] for value in whole))


def _segments(blocks: Iterable[WorldParameters]) -> Iterator[WorldParameters]:
    """Join blocks and cut them anew at the first unvoiced frame after _SEGMENT frames, or at _LONGEST."""
    held: WorldParameters | None = None
    for block in blocks:
        held = block if held is None else WorldParameters(*map(np.concatenate, zip(held, block, strict=True)))
        while len(held.f0) > _LONGEST:
            cut = _cut(held.f0)
            yield WorldParameters(*(value[:cut] for value in held))
            held = WorldParameters(*(value[cut:] for value in held))
    while held is not None and len(held.f0):
        cut = _cut(held.f0)
        yield WorldParameters(*(value[:cut] for value in held))
        held = WorldParameters(*(value[cut:] for value in held))


def _cut(f0: _Frames) -> int:
    silent = np.flatnonzero(f0[_SEGMENT:_LONGEST] == 0)
    return _SEGMENT + int(silent[0]) if len(silent) else min(len(f0), _LONGEST)
