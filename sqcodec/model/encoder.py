"""The paper's convolutional encoder: 100 Hz spectrogram -> 50 Hz latents."""

import torch
from torch import Tensor, nn

from sqcodec.model.normalisation import BatchNorm

LAYER = 3  # modules a layer: convolution, BatchNorm, ReLU
STRIDING = 2  # the layer that halves the rate


def _layer(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
    return [convolution, BatchNorm(outputs), nn.ReLU(inplace=True)]


class Encoder(nn.Module):
    """Five convolutions with BatchNorm and ReLU, then 1x1 to the quantiser's channels."""

    margin = 16  # frames of context on each side with which a block gives the codes of the whole (it needs 8)

    def __init__(self, *, n_mels: int, channels: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_layer(n_mels, channels, 3, padding=0),
            *_layer(channels, channels, 3),
            *_layer(channels, channels, 4, stride=2),
            *_layer(channels, channels, 3),
            *_layer(channels, channels, 3),
            nn.Conv1d(channels, outputs, 1),
        )

    def forward(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """features [B, F, T + 2], T even, one frame of context on each side -> [B, T / 2, outputs].

        frames: [B] int64, even; of row b only the first frames[b] + 2 count, what follows is padding and is kept out of
        every convolution, so that the first frames[b] / 2 outputs are those of the row alone. None: no padding.
        """
        if frames is None:
            encoded: Tensor = self.layers(features)
            return encoded.transpose(1, 2)
        encoded = features
        for number in range(0, len(self.layers) - 1, LAYER):
            encoded = self.layers[number : number + LAYER](encoded)
            length = frames if number < LAYER * STRIDING else frames // 2
            encoded = encoded * (torch.arange(encoded.shape[-1], device=frames.device) < length[:, None])[:, None]
        encoded = self.layers[-1](encoded)
        return encoded.transpose(1, 2)
