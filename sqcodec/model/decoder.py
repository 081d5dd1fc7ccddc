"""The paper's recurrent decoder: 50 Hz codewords and a speaker -> 100 Hz spectrogram."""

import torch
from torch import Tensor, nn

from sqcodec import ranks


def jitter(z_q: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Replace each latent of z_q [B, T, D] by its left or right neighbour, each with probability / 2; edges stay.

    A regulariser of training: it keeps a code from depending on its exact place.
    """
    batch, frames, _ = z_q.shape
    draw = ranks.own_rows(torch.rand(ranks.count() * batch, frames, generator=generator, device=z_q.device))
    shift = (draw < probability).long() - 2 * (draw < probability / 2).long()
    index = torch.arange(frames, device=z_q.device) + shift
    inside = (index >= 0) & (index < frames)
    index = torch.where(inside, index, torch.arange(frames, device=z_q.device))
    return z_q.gather(1, index[:, :, None].expand_as(z_q))


class Decoder(nn.Module):
    """Nearest up-sampling by 2, speaker embedding beside each frame, two bidirectional GRU layers, a linear layer."""

    margin = 200  # codes (4 s) of context on each side after which the recurrent layers have forgotten the edge

    def __init__(self, *, dim: int, speakers: int, speaker_dim: int, gru: int, outputs: int) -> None:
        super().__init__()
        self.speakers = nn.Embedding(speakers, speaker_dim)
        self.recurrent = nn.GRU(dim + speaker_dim, gru, num_layers=2, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * gru, outputs)

    def forward(self, z_q: Tensor, speaker: Tensor) -> Tensor:
        """z_q [B, T, D], speaker [B] int64 -> [B, outputs, 2 T]."""
        frames = z_q.repeat_interleave(2, dim=1)
        voice = self.speakers(speaker)[:, None].expand(-1, frames.shape[1], -1)
        hidden, _ = self.recurrent(torch.cat([frames, voice], dim=-1))
        decoded: Tensor = self.output(hidden)
        return decoded.transpose(1, 2)
