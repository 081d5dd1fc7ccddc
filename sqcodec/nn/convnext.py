"""1-D ConvNeXt blocks, shared by codec and vocoders (Liu et al., CVPR 2022; as in Vocos, arXiv 2306.00814).

Every convolution has seven taps. The look-ahead is assigned from the input on: with 4 frames, the first convolution
looks 3 ahead, the next 1, and the others are causal: their input already holds the whole look-ahead.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sqcodec.nn.padding import within
from sqcodec.nn.taps import TAPS, ahead_of_each


class Trunk(nn.Module):
    """Features [B, F, T] -> [B, T, dim]; frame t depends on frames t - `behind` to t + `ahead`."""

    def __init__(self, *, n_mels: int, dim: int, hidden: int, layers: int, lookahead: int) -> None:
        super().__init__()
        first, *rest = ahead_of_each(layers, lookahead)
        self.ahead = first + sum(rest)
        self.behind = (TAPS - 1) * (layers + 1) - self.ahead
        self._pad = (TAPS - 1 - first, first)
        self.scale = BandScale(n_mels)
        self.embed = nn.Conv1d(n_mels, dim, TAPS)
        self.norm_in = nn.LayerNorm(dim, eps=1e-6)
        self.blocks = Blocks(dim=dim, hidden=hidden, ahead=rest)
        self.norm_out = nn.LayerNorm(dim, eps=1e-6)
        self.apply(initialise)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Edges are padded with zeros, at every layer (before the first: the mean spectrum).

        lengths: [B], the frames of each row without padding; None: all T.
        """
        scaled = self.scale(features)
        if lengths is not None:
            scaled = scaled * within(lengths, scaled.shape[-1])[:, None]
        hidden = self.embed(functional.pad(scaled, self._pad)).transpose(1, 2)
        output: Tensor = self.norm_out(self.blocks(self.norm_in(hidden), lengths))
        return output


class BandScale(nn.Module):
    """Mean and standard deviation of each band over the training data; the latter is called `deviation` in files."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(n_mels, 1))
        self.register_buffer("deviation", torch.ones(n_mels, 1))

    @property
    def std(self) -> Tensor:
        """Standard deviation [F, 1]."""
        return self.deviation

    @torch.no_grad()
    def set_(self, mean: Tensor, std: Tensor) -> None:
        """Set mean and standard deviation [F]; a band that never changes stays as it is."""
        self.mean.copy_(mean[:, None])
        self.std.copy_(std.clamp_min(1e-3)[:, None])

    def forward(self, features: Tensor) -> Tensor:
        """features [B, F, T] -> scaled [B, F, T]."""
        return (features - self.mean) / self.std

    def inverse(self, scaled: Tensor) -> Tensor:
        """scaled [B, F, T] -> features [B, F, T]."""
        return scaled * self.std + self.mean


class Blocks(nn.Module):
    """Blocks in sequence, [B, T, dim] -> [B, T, dim]. ahead: look-ahead of each in frames, at most 3."""

    def __init__(self, *, dim: int, hidden: int, ahead: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(dim=dim, hidden=hidden, ahead=each, scale=1 / len(ahead)) for each in ahead)
        self.ahead = sum(ahead)
        self.behind = (TAPS - 1) * len(ahead) - self.ahead

    def forward(self, hidden: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Edges are padded with zeros before every convolution, and so are rows [B] that end before the longest."""
        inside = None if lengths is None else within(lengths, hidden.shape[1])[..., None]
        for layer in self.layers:
            hidden = layer(hidden if inside is None else hidden * inside)
        return hidden


class Block(nn.Module):
    """Depthwise convolution, layer norm, two linear layers with a GELU between, scaled and added: keeps [B, T, dim]."""

    def __init__(self, *, dim: int, hidden: int, ahead: int, scale: float) -> None:
        super().__init__()
        self._pad = (TAPS - 1 - ahead, ahead)
        self.depthwise = nn.Conv1d(dim, dim, TAPS, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.expand = nn.Linear(dim, hidden)
        self.contract = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, hidden: Tensor) -> Tensor:
        """Edges are padded with zeros."""
        mixed = self.depthwise(functional.pad(hidden.transpose(1, 2), self._pad)).transpose(1, 2)
        wide = functional.gelu(self.expand(self.norm(mixed)))
        output: Tensor = hidden + self.scale * self.contract(wide)
        return output


def initialise(module: nn.Module) -> None:
    """Weights of convolutions and linear layers from a narrow normal distribution, biases 0."""
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
