"""Encoder and decoder for any speaker: ConvNeXt blocks at the rate of the codes, mostly causal.

A depthwise convolution and two linear layers a block take a fraction of the paper's multiplications a second: the
encoder comes down to that rate at once, the decoder makes the frames of each code at the very end.
"""

from torch import Tensor, nn

from sqcodec.model.network import Decoder, Encoder
from sqcodec.nn.convnext import BandScale, Blocks, ahead_of_each, initialise
from sqcodec.recipe import ConvNextConfig
from sqcodec.spectrogram import FeatureConfig

_AROUND = 2  # frames that one code is made of besides its own: one on each side


class ConvNextEncoder(Encoder):
    """Features -> latents. `margin`: frames of context on each side that make a block equal the whole; `lookahead`:
    frames after the first of a code that it depends on."""

    def __init__(self, config: ConvNextConfig, features: FeatureConfig, *, outputs: int) -> None:
        super().__init__()
        per_code = features.frames_per_code
        self.scale = BandScale(features.n_mels)
        self.embed = nn.Conv1d(features.n_mels, config.dim, per_code + _AROUND, stride=per_code)
        ahead = _ahead(config.encoder_layers, config.encoder_lookahead)
        self.blocks = Blocks(dim=config.dim, hidden=config.hidden, ahead=ahead)
        self.output = nn.Linear(config.dim, outputs)
        self.margin = per_code * max(self.blocks.behind, self.blocks.ahead)
        self.lookahead = per_code + per_code * self.blocks.ahead
        self.apply(initialise)
        for layer in (self.embed, self.output):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """features [B, F, T + 2], one frame of context on each side -> [B, T / frames per code, outputs]."""
        assert frames is None, "padding is for the paper's network; recipes are checked for it"
        hidden: Tensor = self.embed(self.scale(features)).transpose(1, 2)
        encoded: Tensor = self.output(self.blocks(hidden))
        return encoded


class ConvNextDecoder(Decoder):
    """Codewords -> features. `margin`: codes of context on each side that make a block equal the whole; `lookahead`:
    frames that the codes after a frame's own are made of."""

    def __init__(self, config: ConvNextConfig, features: FeatureConfig, *, dim: int, outputs: int) -> None:
        super().__init__()
        self.frames_per_code = features.frames_per_code
        self.embed = nn.Linear(dim, config.dim)
        ahead = _ahead(config.decoder_layers, config.decoder_lookahead)
        self.blocks = Blocks(dim=config.dim, hidden=config.hidden, ahead=ahead)
        self.output = nn.Linear(config.dim, self.frames_per_code * outputs)
        self.scale = BandScale(outputs)
        self.margin = max(self.blocks.behind, self.blocks.ahead)
        self.lookahead = self.frames_per_code * self.blocks.ahead
        self.apply(initialise)
        for layer in (self.embed, self.output):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, z_q: Tensor, speaker: Tensor) -> Tensor:  # noqa: ARG002 - it knows none
        """z_q [B, T, D] -> [B, outputs, frames per code x T]; speaker is not looked at."""
        made = self.output(self.blocks(self.embed(z_q)))
        frames = made.reshape(len(made), self.frames_per_code * made.shape[1], -1).transpose(1, 2)
        return self.scale.inverse(frames.float())


def _ahead(layers: int, lookahead: int) -> list[int]:
    """As `ahead_of_each` of the blocks alone."""
    return ahead_of_each(layers - 1, lookahead)
