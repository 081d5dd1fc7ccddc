"""The paper's networks: a convolutional encoder and a recurrent decoder that depends on the speaker.

Encoder: spectrogram at 100 Hz -> latents at 50 Hz. Decoder: codewords at 50 Hz and a speaker -> spectrogram at 100 Hz.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sqcodec import ranks
from sqcodec.model.network import Decoder, Encoder
from sqcodec.nn.batch_norm import BatchNorm
from sqcodec.nn.convolution import Convolution
from sqcodec.nn.gru import bidirectional
from sqcodec.nn.padding import within
from sqcodec.recipe import PaperNetworkConfig

_MODULES_PER_LAYER = 3  # convolution, BatchNorm, ReLU
_STRIDED_LAYER = 2  # index of the layer that halves the frame rate


def _layer(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    convolution = Convolution(inputs, outputs, kernel, stride=stride, padding=padding)
    return [convolution, BatchNorm(outputs), nn.ReLU()]


class PaperEncoder(Encoder):
    """Five convolutions with BatchNorm and ReLU, then a 1x1 convolution to the quantiser's channels."""

    margin = 16  # frames of context on each side: 8 would be enough for a block to give the codes of the whole

    def __init__(self, config: PaperNetworkConfig, *, n_mels: int, outputs: int) -> None:
        super().__init__()
        channels = config.channels
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

        frames: [B] int64, even; row b has frames[b] + 2 frames, the rest is padding; None: no padding. Padding is
        zeroed after every layer. The first frames[b] / 2 outputs are therefore the same as for the row alone.
        """
        if frames is None:
            encoded: Tensor = self.layers(features)
            return encoded.transpose(1, 2)
        encoded = features
        for start in range(0, len(self.layers) - 1, _MODULES_PER_LAYER):
            encoded = self.layers[start : start + _MODULES_PER_LAYER](encoded)
            length = frames if start < _MODULES_PER_LAYER * _STRIDED_LAYER else frames // 2
            encoded = encoded * within(length, encoded.shape[-1])[:, None]
        encoded = self.layers[-1](encoded)
        return encoded.transpose(1, 2)


def jitter(z_q: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Replace each latent of z_q [B, T, D] by its left or right neighbour, each with probability / 2; edges stay.

    It regularises training: a code cannot depend on its exact position.
    """
    batch, frames, _ = z_q.shape
    draw = ranks.own_rows(torch.rand(ranks.count() * batch, frames, generator=generator, device=z_q.device))
    shift = (draw < probability).long() - 2 * (draw < probability / 2).long()
    index = torch.arange(frames, device=z_q.device) + shift
    inside = (index >= 0) & (index < frames)
    index = torch.where(inside, index, torch.arange(frames, device=z_q.device))
    return z_q.gather(1, index[:, :, None].expand_as(z_q))


class PaperDecoder(Decoder):
    """Each codeword twice, with the speaker embedding appended; two bidirectional GRU layers; a linear layer."""

    margin = 200  # codes (4 s) of context on each side: by then the recurrent layers have forgotten the edge

    def __init__(self, config: PaperNetworkConfig, *, dim: int, speakers: int, outputs: int) -> None:
        super().__init__()
        self.speakers = nn.Embedding(speakers, config.speaker_dim)
        inputs = dim + config.speaker_dim
        self.recurrent = nn.GRU(inputs, config.gru, num_layers=2, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * config.gru, outputs)

    def forward(self, z_q: Tensor, speaker: Tensor, lengths: Tensor | None = None) -> Tensor:
        """z_q [B, T, D], speaker [B] int64 -> [B, outputs, 2 T].

        lengths: [B], of rows with padding: the layers begin backwards at the last code of each row.
        """
        eager = not torch.compiler.is_compiling()  # a compiler unrolls all steps, which takes many minutes
        trained = eager and self.training and lengths is None and z_q.device.type == "cpu"
        hidden = self._trained(z_q, speaker) if trained else self._states(z_q, speaker, lengths)
        decoded: Tensor = self.output(hidden)
        return decoded.transpose(1, 2)

    def _states(self, z_q: Tensor, speaker: Tensor, lengths: Tensor | None) -> Tensor:
        frames = z_q.repeat_interleave(2, dim=1)
        embedding = self.speakers(speaker)[:, None].expand(-1, frames.shape[1], -1)
        inputs = torch.cat([frames, embedding], dim=-1)
        if lengths is None:
            hidden: Tensor = self.recurrent(inputs)[0]
            return hidden
        packed = pack_padded_sequence(inputs, 2 * lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=inputs.shape[1])
        return hidden

    def _trained(self, z_q: Tensor, speaker: Tensor) -> Tensor:
        """The same on a processor, but for rounding: a codeword and a speaker are multiplied once, not once a frame."""

        def gates(weight: Tensor, bias: Tensor) -> Tensor:
            of_codewords, of_speakers = weight[:, : z_q.shape[-1]], weight[:, z_q.shape[-1] :]
            common = linear(self.speakers(speaker), of_speakers, bias)[:, None]
            return (linear(z_q, of_codewords) + common).repeat_interleave(2, dim=1)

        hidden: Tensor = bidirectional(self.recurrent, gates)
        return hidden
