"""What codes will cost: the context model without its roundings, in float32.

A search weighs costs against errors and needs no exact ones; without integers it takes a quarter of the time. What is
written goes through `sqcodec.bitstream.context_model`, whose frequencies every reader has to the bit.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_coder import Part
from sqcodec.bitstream.context_model import ACTIVATION_BITS, CODEWORD_BITS, LIMIT, ContextModel
from sqcodec.bitstream.entropy_tables import TOTAL_BITS

_Floats = NDArray[np.float32]
_LARGEST = np.float32(LIMIT / (1 << ACTIVATION_BITS))  # of an activation
_HALF, _ONE = np.float32(0.5), np.float32(1.0)
_LN_2 = np.float32(np.log(2))
_MOST = TOTAL_BITS * _LN_2  # of a code: its frequency is 1 at least
_AT_ONCE = 32  # blocks side by side


class ContextCosts:
    """The costs that a context model gives. N: any number of frames; rows do not see each other."""

    def __init__(self, model: ContextModel) -> None:
        arrays = model.arrays
        self.books, self.size, self.dim = model.books, model.size, model.dim
        self.hidden, self.width = model.hidden, model.width
        self._words = arrays["codewords"].astype(np.float32) / np.float32(1 << CODEWORD_BITS)
        self._input, self._input_bias = _layer(arrays, "gru.input")
        self._state, self._state_bias = _layer(arrays, "gru.state")
        self._given, self._given_bias = _layer(arrays, "stage.state")
        self._sum, _ = _layer(arrays, "stage.sum")
        base_2, bias = _layer(arrays, "output")
        self._output, self._output_bias = base_2 * _LN_2, bias * _LN_2

    def states(self, parts: Sequence[Part]) -> Iterator[_Floats]:
        """The states [t, hidden] before each frame of the parts, which go through the network side by side."""
        for first in range(0, len(parts), _AT_ONCE):
            yield from self._states(parts[first : first + _AT_ONCE])

    def layers(self, states: _Floats, stages: int) -> _Floats:
        """What states [N, hidden] give to the layers of the first stages: [stages, N, width]."""
        columns = slice(0, stages * self.width)
        given = states @ self._given[:, columns] + self._given_bias[columns]
        return np.ascontiguousarray(given.reshape(len(states), stages, self.width).swapaxes(0, 1))

    def words(self, stage: int, codes: NDArray[Any]) -> _Floats:
        """Codewords as the network sees them: those of codes [...] of a stage, [..., D]."""
        found: _Floats = self._words[stage][codes]
        return found

    def nats(self, stage: int, layer: _Floats, sums: _Floats, *, ends: bool) -> _Floats:
        """Nats [N, P, V], or [N, P, V + 1] with `ends`, of the codes of a stage and the frame's end.

        layer: [N, width], of `layers`; sums: [N, P, D] of the codewords before this stage.
        """
        rows, many, dim = sums.shape
        inner = np.clip(sums.reshape(-1, dim), -_LARGEST, _LARGEST) @ self._sum[stage]
        inner.reshape(rows, many, -1)[...] += layer[:, None]
        np.tanh(inner, out=inner)
        columns = slice(0, self.size + ends)
        scores = inner @ self._output[stage][:, columns]
        scores += self._output_bias[stage, columns]
        scores -= scores.max(axis=1, keepdims=True)
        total = np.log(np.exp(scores).sum(axis=1, keepdims=True))
        np.subtract(total, scores, out=scores)
        np.minimum(scores, _MOST, out=scores)
        every: _Floats = scores.reshape(rows, many, -1)
        return every

    def advance(self, states: _Floats, sums: _Floats, stages: NDArray[Any]) -> _Floats:
        """The states after frames: the sums [N, D] of their codewords, and how many stages [N] they had."""
        return self._step(states, self._drive(sums, stages))

    def _states(self, parts: Sequence[Part]) -> Iterator[_Floats]:
        longest = max(len(part.stages) for part in parts)
        drive = np.zeros((longest, len(parts), 3 * self.hidden), np.float32)
        for row, part in enumerate(parts):
            drive[: len(part.stages), row] = self._drive(self._sums(part), part.stages)
        states = np.zeros((longest, len(parts), self.hidden), np.float32)
        for time in range(1, longest):
            states[time] = self._step(states[time - 1], drive[time - 1])
        for row, part in enumerate(parts):
            yield states[: len(part.stages), row]

    def _sums(self, part: Part) -> _Floats:
        sums = np.zeros((len(part.stages), self.dim), np.float32)
        for stage, codes in enumerate(part.codes):
            going = part.stages > stage
            sums[going] += self.words(stage, codes[going])
        return sums

    def _drive(self, sums: _Floats, stages: NDArray[Any]) -> _Floats:
        unary = (stages[:, None] > np.arange(self.books)) * _LARGEST
        inputs = np.concatenate([np.clip(sums, -_LARGEST, _LARGEST), unary], axis=1, dtype=np.float32)
        driven: _Floats = inputs @ self._input
        driven += self._input_bias
        return driven

    def _step(self, state: _Floats, drive: _Floats) -> _Floats:
        """Reset gate, update gate and candidate, as in torch.nn.GRU."""
        hidden = self.hidden
        recurrent = state @ self._state
        recurrent += self._state_bias
        gates = recurrent[:, :-hidden] + drive[:, :-hidden]
        gates *= _HALF  # (1 + tanh(x / 2)) / 2
        np.tanh(gates, out=gates)
        gates += _ONE
        gates *= _HALF
        candidate = recurrent[:, -hidden:]
        candidate *= gates[:, :hidden]
        candidate += drive[:, -hidden:]
        np.tanh(candidate, out=candidate)
        after = state - candidate
        after *= gates[:, hidden:]
        after += candidate
        return after


def _layer(arrays: Any, name: str) -> tuple[_Floats, _Floats]:
    """Weights [..., inputs, outputs] and bias of a layer as real numbers."""
    shift = int(arrays[f"{name}.shift"][0])
    weight = np.swapaxes(arrays[f"{name}.weight"].astype(np.float32), -1, -2) / np.float32(1 << shift)
    bias = arrays.get(f"{name}.bias", np.zeros(1)).astype(np.float64) / (1 << (shift + ACTIVATION_BITS))
    return np.ascontiguousarray(weight), bias.astype(np.float32)
