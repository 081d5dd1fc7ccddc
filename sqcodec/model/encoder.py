"""The paper's convolutional encoder: 100 Hz spectrogram -> 50 Hz latents."""

from torch import Tensor, nn


def _layer(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
    return [convolution, nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]


class Encoder(nn.Module):
    """Five convolutions with BatchNorm and ReLU, then 1x1 to the quantiser's channels."""

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

    def forward(self, features: Tensor) -> Tensor:
        """features [B, F, T + 2], T even, one frame of context on each side -> [B, T / 2, outputs]."""
        encoded: Tensor = self.layers(features)
        return encoded.transpose(1, 2)
