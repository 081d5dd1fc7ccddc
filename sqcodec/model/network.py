"""The interfaces of a codec's encoder and decoder."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Features -> latents.

    `margin`: frames of context on each side; with them a block gives the latents of the whole recording.
    """

    margin: int

    @abstractmethod
    def forward(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """features [B, F, T + 2], T even, one frame of context on each side -> [B, T / 2, outputs].

        frames: [B] int64, even: row b has frames[b] + 2 frames, the rest is padding; None: no row is padded.
        """


class Decoder(nn.Module, ABC):
    """Codewords -> features.

    `margin`: codes of context on each side; with them a block gives the features of the whole recording.
    """

    margin: int

    @abstractmethod
    def forward(self, z_q: Tensor, speaker: Tensor, lengths: Tensor | None = None) -> Tensor:
        """z_q [B, T, D], speaker [B] int64 -> [B, outputs, 2 T].

        lengths: [B] int64: row b has lengths[b] codes, the rest is padding; None: no row is padded.
        """
