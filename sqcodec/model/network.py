"""The interfaces of a codec's two networks."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Features -> latents. `margin`: frames of context on each side that make a block equal the whole."""

    margin: int

    @abstractmethod
    def forward(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """features [B, F, T + 2], T even, one frame of context on each side -> [B, T / 2, outputs].

        frames: [B] int64, even: of row b only the first frames[b] + 2 count; None: no row is padded.
        """


class Decoder(nn.Module, ABC):
    """Codewords -> features. `margin`: codes of context on each side that make a block equal the whole."""

    margin: int

    @abstractmethod
    def forward(self, z_q: Tensor, speaker: Tensor) -> Tensor:
        """z_q [B, T, D], speaker [B] int64 -> [B, outputs, 2 T]."""
