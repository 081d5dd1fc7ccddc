"""Speaker-independent encoder and decoder: ConvNeXt blocks at the code rate, mostly causal.

The encoder downsamples in its first layer, the decoder upsamples in its last. Each block has one depthwise convolution
and two linear layers. Both together need a fraction of the multiplications per second of the paper's networks.
"""

from torch import Tensor, nn

from sqcodec.model.network import Decoder, Encoder
from sqcodec.nn.convnext import BandScale, Blocks, initialise
from sqcodec.nn.taps import ahead_of_each
from sqcodec.recipe import ConvNextConfig
from sqcodec.spectrogram import FeatureConfig

_CONTEXT_FRAMES = 2  # frames of the first kernel beside the code's own, one on each side


class ConvNextEncoder(Encoder):
    """Features -> latents.

    `margin`: frames of context on each side; with them a block gives the latents of the whole recording. `lookahead`:
    the number of frames after a code's first frame that the code depends on.
    """

    def __init__(self, config: ConvNextConfig, features: FeatureConfig, *, outputs: int) -> None:
        super().__init__()
        self.frames_per_code = per_code = features.frames_per_code
        self.scale = BandScale(features.n_mels)
        self.embed = nn.Conv1d(features.n_mels, config.dim, per_code + _CONTEXT_FRAMES, stride=per_code)
        ahead = _ahead(config.encoder_layers, config.encoder_lookahead)
        self.blocks = Blocks(dim=config.dim, hidden=config.hidden, ahead=ahead)
        self.output = nn.Linear(config.dim, outputs)
        self.margin = per_code * max(self.blocks.behind, self.blocks.ahead)
        self.lookahead = per_code + per_code * self.blocks.ahead
        self.apply(initialise)
        for layer in (self.embed, self.output):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """features [B, F, T + 2], one frame of context on each side -> [B, T / frames per code, outputs].

        frames: [B], of rows with padding (see `Encoder`), which is zeroed before every convolution.
        """
        hidden: Tensor = self.embed(self.scale(features)).transpose(1, 2)
        lengths = None if frames is None else frames // self.frames_per_code
        encoded: Tensor = self.output(self.blocks(hidden, lengths))
        return encoded


class ConvNextDecoder(Decoder):
    """Codewords -> features.

    `margin`: codes of context on each side; with them a block gives the features of the whole recording. `lookahead`:
    frames of the later codes that a decoded frame depends on.
    """

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

    def forward(self, z_q: Tensor, speaker: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: ARG002 - of any speaker
        """z_q [B, T, D] -> [B, outputs, frames per code x T]; speaker is ignored. lengths: as of `Decoder`."""
        decoded = self.output(self.blocks(self.embed(z_q), lengths))  # [B, T, frames per code x outputs]
        frames = decoded.reshape(len(decoded), self.frames_per_code * decoded.shape[1], -1).transpose(1, 2)
        return self.scale.inverse(frames.float())


def _ahead(layers: int, lookahead: int) -> list[int]:
    """The frames that each block looks ahead: `ahead_of_each` for blocks without a first convolution."""
    return ahead_of_each(layers - 1, lookahead)
