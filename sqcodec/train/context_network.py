"""The context model in torch, for training: the probability of each code given all codes before it.

A GRU runs over the frames; its input is the sum of the last frame's codewords and how many stages the frame had. Each
stage has a layer that sees the state and the sum of the stages before it, and scores the V codewords and, behind them,
"the frame ends here". `sqcodec.bitstream.context_model` is the same network in integers, which files are coded with.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sqcodec.bitstream.context_model import (
    ACTIVATION_BITS,
    CODEWORD_BITS,
    LIMIT,
    SHIFTS,
    ContextModel,
    tables,
)

_SPREAD = 0.25  # standard deviation of the first stage's codewords; an activation holds four times that
_WIDEST_CODEWORD = 1.99  # that 16 bits hold
_WIDEST = LIMIT / (1 << min(SHIFTS))  # weight that the smallest shift can hold


class CodedWindows(NamedTuple):
    """Windows of codes: codes [B, K, T] int64; stages [B, T], the stages of each frame, 0 behind an utterance's end;
    limit [B], the stages that a frame of the window may have at most; stops [B] bool, whether frames may end earlier.
    """

    codes: Tensor
    stages: Tensor
    limit: Tensor
    stops: Tensor


class ContextNetwork(nn.Module):
    """hidden: units of the GRU; width: units of each stage's layer; grid: the codewords as integers [K, V, D]."""

    grid: Tensor

    def __init__(self, grid: Tensor, *, hidden: int, width: int) -> None:
        super().__init__()
        self.books, self.size, self.dim = grid.shape
        self.register_buffer("grid", grid)
        self.gru = nn.GRU(self.dim + self.books, hidden, batch_first=True)
        self.from_state = nn.Linear(hidden, self.books * width)
        self.from_sum = nn.Parameter(torch.randn(self.books, self.dim, width) / math.sqrt(self.dim))
        self.output = nn.Parameter(torch.randn(self.books, width, self.size + 1) / math.sqrt(width))
        self.output_bias = nn.Parameter(torch.zeros(self.books, self.size + 1))

    def nats(self, windows: CodedWindows) -> Tensor:
        """-log p of every code and every end of the windows, one after the other, stage by stage: [N]."""
        state, sums = self._history(windows.codes, windows.stages)
        return torch.cat([self._stage(stage, state, sums[:, :, stage], windows) for stage in range(self.books)])

    def gains(self, codes: Tensor, stages: Tensor) -> Tensor:
        """log P(code | codes before it) + log V of every code that may come: [B, K, T, V], 0 for a uniform P.

        codes: [B, K, T]; stages: [B], of every frame of a row, the gains of later ones are 0. None ends early.
        """
        state, sums = self._history(codes, stages[:, None].expand(-1, codes.shape[-1]))
        every = torch.stack([self._scores(stage, state, sums[:, :, stage])[..., :-1] for stage in range(self.books)], 1)
        every = every - every.amax(-1, keepdim=True).detach()
        used = stages[:, None] > torch.arange(self.books, device=stages.device)
        return (every - every.exp().mean(-1, keepdim=True).log()) * used[..., None, None]

    def clamp_(self) -> None:
        """Keep the weights within what 8 bits hold. Called after each step."""
        with torch.no_grad():
            for weight in (*self.gru.all_weights[0][:2], self.from_state.weight, self.from_sum):
                weight.clamp_(-_WIDEST, _WIDEST)
            self.output.clamp_(-_WIDEST * math.log(2), _WIDEST * math.log(2))

    def _stage(self, stage: int, state: Tensor, partial: Tensor, windows: CodedWindows) -> Tensor:
        """-log p at one stage of the frames that reach it: of their code, or of their end."""
        ends = windows.stops[:, None] & (windows.stages == stage) & (stage < windows.limit[:, None])
        taken = (windows.stages > stage) | (ends & (stage > 0) & (windows.stages > 0))
        scores = self._scores(stage, state[taken], partial[taken])
        may_end = windows.stops[:, None].expand_as(taken)[taken] & (stage > 0)
        scores = torch.cat([scores[:, :-1], scores[:, -1:].masked_fill(~may_end[:, None], -1e9)], dim=1)
        target = torch.where(ends, self.size, windows.codes[:, stage])[taken]
        return nn.functional.cross_entropy(scores, target, reduction="none")

    def _scores(self, stage: int, state: Tensor, partial: Tensor) -> Tensor:
        """Of a stage's codes and of the end [..., V + 1], from states [..., H] and sums [..., D]."""
        width = self.from_sum.shape[-1]
        rows = slice(stage * width, (stage + 1) * width)
        inner = nn.functional.linear(state, self.from_state.weight[rows], self.from_state.bias[rows])
        inner = torch.tanh(inner + partial @ self.from_sum[stage])
        return (inner @ self.output[stage] + self.output_bias[stage]).float()

    def _history(self, codes: Tensor, stages: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [B, K, T] and the stages [B, T] of each frame -> the state before each frame [B, T, H], and `_sums`."""
        sums = self._sums(codes)
        unary = (stages[..., None] > torch.arange(self.books, device=sums.device)).float()
        last = torch.cat([_last(sums, stages), unary], dim=-1)
        after, _ = self.gru(last)
        return torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], dim=1), sums

    def _sums(self, codes: Tensor) -> Tensor:
        """Sums of the first 0, 1, ... K codewords as the integer network sees them: [B, T, K + 1, D] in -1 to 1."""
        codewords = torch.stack([self.grid[book][codes[:, book]] for book in range(self.books)], dim=2)
        sums = torch.cat([torch.zeros_like(codewords[:, :, :1]), codewords.cumsum(2, dtype=torch.int32)], dim=2)
        shift = CODEWORD_BITS - ACTIVATION_BITS
        return ((sums + (1 << (shift - 1))) >> shift).clamp(-LIMIT, LIMIT).float() / (1 << ACTIVATION_BITS)


def _last(sums: Tensor, stages: Tensor) -> Tensor:
    """The sum [B, T, D] of the stages that each frame has."""
    return sums.gather(2, stages[..., None, None].expand(-1, -1, 1, sums.shape[-1])).squeeze(2)


def integer_grid(codebook: Tensor) -> Tensor:
    """Codewords [V, D] or [K, V, D] -> int32 [K, V, D] that 16 bits hold, scaled by a power of two."""
    every = codebook.detach().double().view(-1, *codebook.shape[-2:])
    spread = (every[0] - every[0].mean(0)).square().mean().sqrt()
    scale = torch.minimum(_SPREAD / spread, _WIDEST_CODEWORD / every.abs().max()).log2().floor().exp2()
    return (every * scale * (1 << CODEWORD_BITS)).round().int()


@torch.no_grad()
def blend_(network: ContextNetwork, other: ContextNetwork, share: float) -> None:
    """Make the weights the mean with those of another network; share: of what they were."""
    for weight, former in zip(network.parameters(), other.parameters(), strict=True):
        weight.lerp_(former, 1 - share)


def to_integers(network: ContextNetwork) -> ContextModel:
    """The network with 8-bit weights, each matrix in units of a power of two."""
    log2_e = 1 / math.log(2)
    of_input, of_state, input_bias, state_bias = network.gru.all_weights[0]
    unit = {"gru.input": of_input, "gru.state": of_state,
            "stage.state": network.from_state.weight, "stage.sum": network.from_sum.transpose(1, 2),
            "output": network.output.transpose(1, 2) * log2_e}  # fmt: skip
    biases = {"gru.input": input_bias, "gru.state": state_bias,
              "stage.state": network.from_state.bias, "output": network.output_bias * log2_e}  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {**tables(), "codewords": network.grid.cpu().numpy().astype(np.int16)}
    for name, weight in unit.items():
        values = weight.detach().cpu().double().numpy()
        shift = _shift_of(float(np.abs(values).max()))
        arrays[f"{name}.weight"] = np.clip(np.rint(values * (1 << shift)), -LIMIT, LIMIT).astype(np.int8)
        arrays[f"{name}.shift"] = np.array([shift], np.uint8)
        if name in biases:
            bias = biases[name].detach().cpu().double().numpy() * (1 << (shift + ACTIVATION_BITS))
            arrays[f"{name}.bias"] = np.rint(bias).astype(np.int32)
    return ContextModel(arrays)


def _shift_of(widest: float) -> int:
    """The finest unit of 2^-shift in which 8 bits hold the widest weight."""
    return max(shift for shift in SHIFTS if widest * (1 << shift) <= LIMIT or shift == min(SHIFTS))
