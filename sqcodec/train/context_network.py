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

    def __init__(self, grid: NDArray[np.integer[Any]], *, hidden: int, width: int) -> None:
        super().__init__()
        self.books, self.size, self.dim = grid.shape
        self.register_buffer("grid", torch.from_numpy(grid.astype(np.int32)))
        self.gru = nn.GRU(self.dim + self.books, hidden, batch_first=True)
        self.from_state = nn.Linear(hidden, self.books * width)
        self.from_sum = nn.Parameter(torch.randn(self.books, self.dim, width) / math.sqrt(self.dim))
        self.output = nn.Parameter(torch.randn(self.books, width, self.size + 1) / math.sqrt(width))
        self.output_bias = nn.Parameter(torch.zeros(self.books, self.size + 1))

    def nats(self, windows: CodedWindows) -> Tensor:
        """-log p of every code and every end of the windows, one after the other, stage by stage: [N]."""
        sums = self._sums(windows)  # [B, T, K + 1, D]
        depth = torch.arange(self.books, device=sums.device)
        unary = (windows.stages[..., None] > depth).float()
        last = torch.cat([_last(sums, windows.stages), unary], dim=-1)
        state, _ = self.gru(torch.cat([torch.zeros_like(last[:, :1]), last[:, :-1]], dim=1))
        return torch.cat([self._stage(stage, state, sums[:, :, stage], windows) for stage in range(self.books)])

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
        width = self.from_sum.shape[-1]
        rows = slice(stage * width, (stage + 1) * width)
        inner = nn.functional.linear(state[taken], self.from_state.weight[rows], self.from_state.bias[rows])
        inner = torch.tanh(inner + partial[taken] @ self.from_sum[stage])
        scores = (inner @ self.output[stage] + self.output_bias[stage]).float()
        may_end = windows.stops[:, None].expand_as(taken)[taken] & (stage > 0)
        scores = torch.cat([scores[:, :-1], scores[:, -1:].masked_fill(~may_end[:, None], -1e9)], dim=1)
        target = torch.where(ends, self.size, windows.codes[:, stage])[taken]
        return nn.functional.cross_entropy(scores, target, reduction="none")

    def _sums(self, windows: CodedWindows) -> Tensor:
        """Sums of the first 0, 1, ... K codewords as the integer network sees them: [B, T, K + 1, D] in -1 to 1."""
        codewords = torch.stack([self.grid[book][windows.codes[:, book]] for book in range(self.books)], dim=2)
        sums = torch.cat([torch.zeros_like(codewords[:, :, :1]), codewords.cumsum(2, dtype=torch.int32)], dim=2)
        shift = CODEWORD_BITS - ACTIVATION_BITS
        return ((sums + (1 << (shift - 1))) >> shift).clamp(-LIMIT, LIMIT).float() / (1 << ACTIVATION_BITS)


def _last(sums: Tensor, stages: Tensor) -> Tensor:
    """The sum [B, T, D] of the stages that each frame has."""
    return sums.gather(2, stages[..., None, None].expand(-1, -1, 1, sums.shape[-1])).squeeze(2)


def integer_grid(codebook: Tensor) -> NDArray[np.int16]:
    """Codewords [V, D] or [K, V, D] -> int16 [K, V, D], scaled by a power of two."""
    every = codebook.detach().float().cpu().numpy().astype(np.float64)
    every = every.reshape(-1, *every.shape[-2:])
    spread = float(np.sqrt(np.square(every - every.mean(axis=1, keepdims=True))[0].mean()))
    widest = float(np.abs(every).max())
    scale = 2.0 ** (CODEWORD_BITS + math.floor(math.log2(min(_SPREAD / spread, _WIDEST_CODEWORD / widest))))
    return np.rint(every * scale).astype(np.int16)


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
