"""The ISTFT vocoder: a ConvNeXt trunk, a head that predicts a complex spectrum, one inverse STFT (Vocos design).

Frame t makes samples hop (t - 1/2) to hop (t + 1/2) - 1. The network works at the rate of the frames, so it is
quick on a CPU.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sqcodec.dsp import StftConfig, inverse_stft_same
from sqcodec.nn.convnext import Trunk
from sqcodec.recipe import IstftConfig, RefinementConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.vocoder.interface import VocoderPrecision
from sqcodec.vocoder.refinement import refine, spread
from sqcodec.windows import windows, with_last_repeated

_HOPS = 4  # that the window of the inverse STFT is long, whatever the features' window is
_SPREAD = 2  # frames on each side of a frame whose windows reach its samples
_MAX_MAGNITUDE = 1e2  # a magnitude no speech has; keeps an early network from overflowing


def head_stft(features: FeatureConfig) -> StftConfig:
    """The STFT whose spectrum the head predicts: at 16 kHz and a hop of 10 ms, 40 ms or 321 bins."""
    length = _HOPS * features.hop_length
    return StftConfig(n_fft=length, win_length=length, hop_length=features.hop_length)


class IstftNetwork(nn.Module):
    """Features [B, F, T] -> sound [B, hop T]. `behind` and `ahead` frames of context make a block equal the whole."""

    def __init__(self, config: IstftConfig, features: FeatureConfig) -> None:
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

    def forward(self, features: Tensor) -> Tensor:
        """features [B, F, T] float32 -> sound [B, hop T] float32."""
        return inverse_stft_same(self.spectrum(features), self.stft)

    def spectrum(self, features: Tensor) -> Tensor:
        """features [B, F, T] -> complex spectrum [B, T, bins]: magnitude by exp, phase by cosine and sine."""
        hidden = self.trunk(features)
        with torch.autocast(hidden.device.type, enabled=False):  # a phase needs more than the 8 bits of bfloat16
            log_magnitude, phase = self.head(hidden.float()).chunk(2, dim=-1)
            return torch.polar(log_magnitude.exp().clamp_max(_MAX_MAGNITUDE), phase)


class IstftVocoder:
    """A trained network with its refinement, for inference: sound at the level of the features."""

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
    def synthesise(self, features: Tensor) -> Tensor:
        """features [B, F, T] -> sound [B, hop T - hop / 2], frame t on sample hop t; the whole at once."""
        extended = torch.cat([features, features[:, :, -1:]], dim=2)
        return self._made(extended, self.refinement.iterations)[
            :, self.features.hop_length // 2 : self.features.hop_length * features.shape[2]
        ]

    @torch.inference_mode()
    def render(
        self, pieces: Iterable[NDArray[np.float32]], samples: int, *, stages: float | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Features [F, t] piece after piece -> sound [n], together `samples` long, in blocks of 10 s that join to what
        `synthesise` makes. Zeros where there are no frames. stages: as of `Vocoder`; few are not refined."""
        hop, iterations = self.features.hop_length, self.refinement.iterations_for(stages)
        reach = spread(self.features) * iterations
        behind, ahead = self.network.behind + reach, self.network.ahead + reach
        returned, skipped = 0, hop // 2
        for window in windows(with_last_repeated(pieces), behind=behind, ahead=ahead):
            sound = self._made(torch.as_tensor(window.features)[None], iterations)[
                0, hop * window.start : hop * window.stop
            ]
            piece: NDArray[np.float32] = sound[skipped:][: samples - returned].cpu().numpy()
            returned, skipped = returned + len(piece), 0
            yield piece
        yield np.zeros(samples - returned, np.float32)

    def _made(self, features: Tensor, iterations: int) -> Tensor:
        placed = features.to(next(self.network.parameters()).device)
        with torch.autocast(placed.device.type, torch.bfloat16, enabled=self._precision == "bfloat16"):
            sound = self.network(placed)
        return refine(
            sound,
            placed,
            self.features,
            iterations=iterations,
            momentum=self.refinement.momentum,
        )
