"""Encoder and decoder for any speaker: ConvNeXt blocks at the rate of the codes, mostly causal.

A depthwise convolution and two linear layers a block take a fraction of the paper's multiplications a second: the
encoder halves the rate at once, the decoder makes two frames of each code at the very end.
"""

from torch import Tensor, nn

from sqcodec.model.network import Decoder, Encoder
from sqcodec.nn.convnext import BandScale, Blocks, ahead_of_each, initialise
from sqcodec.recipe import ConvNextConfig

_AROUND = 4  # frames that one code is made of: its two, and one on each side
_PER_CODE = 2


class ConvNextEncoder(Encoder):
    """Features -> latents. `margin`: frames of context on each side that make a block equal the whole; `lookahead`:
    frames after the first of a code that it depends on."""

    def __init__(self, config: ConvNextConfig, *, n_mels: int, outputs: int) -> None:
        super().__init__()
        self.scale = BandScale(n_mels)
        self.embed = nn.Conv1d(n_mels, config.dim, _AROUND, stride=_PER_CODE)
        ahead = _ahead(config.encoder_layers, config.encoder_lookahead)
        self.blocks = Blocks(dim=config.dim, hidden=config.hidden, ahead=ahead)
        self.output = nn.Linear(config.dim, outputs)
        self.margin = _PER_CODE * max(self.blocks.behind, self.blocks.ahead)
        self.lookahead = _PER_CODE + _PER_CODE * self.blocks.ahead
        self.apply(initialise)
        for layer in (self.embed, self.output):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """features [B, F, T + 2], T even, one frame of context on each side -> [B, T / 2, outputs]."""
        assert frames is None, "padding is for the paper's network; recipes are checked for it"
        hidden: Tensor = self.embed(self.scale(features)).transpose(1, 2)
        encoded: Tensor = self.output(self.blocks(hidden))
        return encoded


class ConvNextDecoder(Decoder):
    """Codewords -> features. `margin`: codes of context on each side that make a block equal the whole; `lookahead`:
    frames that the codes after a frame's own are made of."""

    def __init__(self, config: ConvNextConfig, *, dim: int, outputs: int) -> None:
        super().__init__()
        self.embed = nn.Linear(dim, config.dim)
        ahead = _ahead(config.decoder_layers, config.decoder_lookahead)
        self.blocks = Blocks(dim=config.dim, hidden=config.hidden, ahead=ahead)
        self.output = nn.Linear(config.dim, _PER_CODE * outputs)
        self.scale = BandScale(outputs)
        self.margin = max(self.blocks.behind, self.blocks.ahead)
        self.lookahead = _PER_CODE * self.blocks.ahead
        self.apply(initialise)
        for layer in (self.embed, self.output):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, z_q: Tensor, speaker: Tensor) -> Tensor:  # noqa: ARG002 - it knows none
        """z_q [B, T, D] -> [B, outputs, 2 T]; speaker is not looked at."""
        made = self.output(self.blocks(self.embed(z_q)))
        frames = made.reshape(len(made), _PER_CODE * made.shape[1], -1).transpose(1, 2)
        return self.scale.inverse(frames.float())


def _ahead(layers: int, lookahead: int) -> list[int]:
    """As `ahead_of_each` of the blocks alone."""
    return ahead_of_each(layers - 1, lookahead)
