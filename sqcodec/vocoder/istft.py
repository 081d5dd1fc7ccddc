"""The ISTFT vocoder: a ConvNeXt trunk, a head that predicts a complex spectrum, one inverse STFT (Vocos design).

Frame t makes samples hop (t - 1/2) to hop (t + 1/2) - 1. The network works at the rate of the frames, so it is
quick on a CPU.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sqcodec.batching import frames_at_once, in_batches
from sqcodec.dsp import StftConfig, inverse_stft_same
from sqcodec.nn.convnext import Trunk
from sqcodec.nn.lookahead import with_fewer_ahead
from sqcodec.nn.padding import lengths_of, padded, within
from sqcodec.nn.taps import ahead_of_each
from sqcodec.recipe import IstftConfig, RefinementConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.vocoder.interface import Rendering, Vocoder, VocoderPrecision
from sqcodec.vocoder.refinement import refine, spread
from sqcodec.vocoder.vocoder_header import Refining, refining_of
from sqcodec.windows import windows, with_last_repeated

_HOPS = 4  # that the window of the inverse STFT is long, whatever the features' window is
_SPREAD = 2  # frames on each side of a frame whose windows reach its samples
_FRAMES = 2000  # of a batch on a CPU
_MAX_MAGNITUDE = 1e2  # a magnitude no speech has; keeps an early network from overflowing


def head_stft(features: FeatureConfig) -> StftConfig:
    """The STFT whose spectrum the head predicts: at 16 kHz and a hop of 10 ms, 40 ms or 321 bins."""
    length = _HOPS * features.hop_length
    return StftConfig(n_fft=length, win_length=length, hop_length=features.hop_length)


class IstftNetwork(nn.Module):
    """Features [B, F, T] -> sound [B, hop T]. `behind` and `ahead` frames of context make a block equal the whole.

    contrast: [F, F], what the target of its refinement gains of the features (`sqcodec.vocoder.contrast`); None: none.
    """

    contrast: Tensor | None

    def __init__(self, config: IstftConfig, features: FeatureConfig, *, contrast: bool = False) -> None:
        super().__init__()
        self.trunk = Trunk(
            n_mels=features.n_mels,
            dim=config.dim,
            hidden=config.hidden,
            layers=config.layers,
            lookahead=config.lookahead,
        )
        self.stft = head_stft(features)
        self.head = nn.Linear(config.dim, self.stft.n_fft + 2)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.behind, self.ahead = self.trunk.behind + _SPREAD, self.trunk.ahead + _SPREAD
        self.register_buffer("contrast", torch.zeros(features.n_mels, features.n_mels) if contrast else None)

    def contrast_of(self, part: float) -> Tensor | None:
        """That part of the contrast [F, F]; None where there is none."""
        return part * self.contrast if self.contrast is not None and part else None

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """features [B, F, T] float32 -> sound [B, hop T] float32; lengths: [B], frames without padding; None: all T."""
        inside = None if lengths is None else within(lengths, features.shape[-1])
        return inverse_stft_same(self.spectrum(features, lengths), self.stft, inside)

    def spectrum(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """features [B, F, T] -> complex spectrum [B, T, bins]: magnitude by exp, phase by cosine and sine."""
        hidden = self.trunk(features, lengths)
        with torch.autocast(hidden.device.type, enabled=False):  # a phase needs more than the 8 bits of bfloat16
            log_magnitude, phase = self.head(hidden.float()).chunk(2, dim=-1)
            return torch.polar(log_magnitude.clamp_max(math.log(_MAX_MAGNITUDE)).exp(), phase)


def with_lookahead(weights: Mapping[str, Tensor], before: IstftConfig, after: IstftConfig) -> dict[str, Tensor]:
    """The weights of a network `before`, on the CPU, for one that differs in looking less far ahead."""
    names = ["trunk.embed.weight", *(f"trunk.blocks.layers.{layer}.depthwise.weight" for layer in range(before.layers))]
    pairs = zip(*(ahead_of_each(config.layers, config.lookahead) for config in (before, after)), strict=True)
    return with_fewer_ahead(weights, dict(zip(names, pairs, strict=True)))


class _Window(NamedTuple):
    """features [F, t], of which frames start to stop - 1 are wanted."""

    features: Tensor
    start: int
    stop: int
    refining: Refining


class IstftVocoder(Vocoder):
    """A trained network with its refinement, for inference: sound at the level of the features.

    What is rendered together differs from what is rendered alone by rounding.
    """

    kind: Literal["istft"] = "istft"

    def __init__(
        self,
        network: IstftNetwork,
        features: FeatureConfig,
        refinement: RefinementConfig,
        precision: VocoderPrecision = "float32",
    ) -> None:
        """precision: of the trunk's products; bfloat16 takes half the time where the processor has it."""
        self.network, self.features, self.refinement = network.eval(), features, refinement
        self._precision = precision

    @torch.inference_mode()
    def synthesise(self, features: Tensor, *, stages: float | None = None) -> Tensor:
        """features [B, F, T] -> sound [B, hop T - hop / 2], frame t on sample hop t; all at once.

        stages: as of `render`.
        """
        extended = torch.cat([features, features[:, :, -1:]], dim=2)
        sound = self._made(extended, None, refining_of(self.refinement.model_dump(), stages))
        return sound[:, self.features.hop_length // 2 : self.features.hop_length * features.shape[2]]

    def render(
        self, pieces: Iterable[NDArray[np.float32]], samples: int, *, stages: float | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Features [F, t] piece after piece -> sound [n], together `samples` long, in blocks of 10 s that join to what
        `synthesise` makes. Zeros where there are no frames. stages: as of `Vocoder`; few are not refined,
        and recordings lack no contrast."""
        return chain.from_iterable(self.render_each([Rendering(pieces, samples, stages)]))

    def render_each(self, several: Iterable[Rendering]) -> Iterator[Iterator[NDArray[np.float32]]]:
        """See `Vocoder`. What is rendered together is refined alike."""
        every = in_batches(
            several,
            self._windows,
            self._wanted,
            shape=lambda window: (window.refining, window.features.shape[1]),
            frames=frames_at_once(str(self._device), on_cpu=_FRAMES),
        )
        for one, sounds in every:
            yield self._joined((sound for _, sound in sounds), one.samples)

    def _windows(self, one: Rendering) -> Iterator[_Window]:
        refining = refining_of(self.refinement.model_dump(), one.stages)
        reach = spread(self.features) * refining.iterations
        behind, ahead = self.network.behind + reach, self.network.ahead + reach
        for window in windows(with_last_repeated(one.pieces), behind=behind, ahead=ahead):
            features = torch.as_tensor(window.features)
            yield _Window(features, window.start, window.stop, refining)

    def _joined(self, sounds: Iterable[NDArray[np.float32]], samples: int) -> Iterator[NDArray[np.float32]]:
        """The sound of a recording: without the half hop before its first sample, and `samples` long."""
        returned, skipped = 0, self.features.hop_length // 2
        for sound in sounds:
            piece = sound[skipped:][: samples - returned]
            returned, skipped = returned + len(piece), 0
            yield piece
        yield np.zeros(samples - returned, np.float32)

    @torch.inference_mode()
    def _wanted(self, cut: Sequence[_Window]) -> list[NDArray[np.float32]]:
        """Sound [n] of the wanted frames of windows that are refined alike."""
        hop, lengths = self.features.hop_length, [window.features.shape[1] for window in cut]
        features = padded([window.features for window in cut])
        made = self._made(features, lengths_of(lengths, self._device), cut[0].refining)
        return [row[hop * one.start : hop * one.stop] for row, one in zip(made.cpu().numpy(), cut, strict=True)]

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _made(self, features: Tensor, lengths: Tensor | None, refining: Refining) -> Tensor:
        placed = features.to(self._device)
        with torch.autocast(placed.device.type, torch.bfloat16, enabled=self._precision == "bfloat16"):
            sound = self.network(placed, lengths)
        return refine(
            sound,
            placed,
            self.features,
            iterations=refining.iterations,
            momentum=self.refinement.momentum,
            fades=self.refinement.fades if refining.fading else None,
            contrast=self.network.contrast_of(refining.contrast),
            lengths=lengths,
        )
