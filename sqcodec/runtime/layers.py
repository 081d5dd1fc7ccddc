"""ConvNeXt blocks in NumPy: the layers of `sqcodec.nn.convnext`, frames first, [T, C]."""

import numpy as np

from sqcodec.nn.taps import TAPS
from sqcodec.runtime.weights import Array, Weights

_ROWS = 256  # frames that go through a block at once: enough for products at full speed, and still in the cache
_EPSILON = np.float32(1e-6)
# log(Phi(x) / (1 - Phi(x))) = x q(x^2), fitted for the least error of x Phi(x): 7e-8
_Q = (1.59576854, 0.0726682968, -6.60523124e-05, -0.000110547101, 7.94818627e-06, -2.67569161e-07, 3.62791644e-09)
_MINUS_Q = tuple(np.float32(-value) for value in _Q)
_ONE = np.float32(1.0)


def gelu_(x: Array, square: Array, power: Array) -> None:
    """x Phi(x) = x / (1 + exp(-x q(x^2))), in place; square and power have the shape of x and are overwritten.

    Far below 0 the exponential overflows to infinity, which gives 0; `np.errstate` of the caller allows it.
    """
    np.multiply(x, x, out=square)
    np.multiply(square, _MINUS_Q[-1], out=power)
    for coefficient in _MINUS_Q[-2:0:-1]:
        power += coefficient
        power *= square
    power += _MINUS_Q[0]
    power *= x
    np.exp(power, out=power)
    power += _ONE
    x /= power


def normalise_(x: Array) -> None:
    """Each frame of x [T, C] to mean 0 and variance 1, in place."""
    x -= x.mean(axis=1, keepdims=True)
    variance = np.einsum("tc,tc->t", x, x)
    variance /= np.float32(x.shape[1])
    variance += _EPSILON
    np.sqrt(variance, out=variance)
    x *= (_ONE / variance)[:, None]


def layer_norm(x: Array, norm: tuple[Array, Array]) -> Array:
    """Layer norm of x [T, C], with weight and bias [C]."""
    normed = x.copy()
    normalise_(normed)
    normed *= norm[0]
    normed += norm[1]
    return normed


class Block:
    """Depthwise convolution, layer norm, two linear layers with a GELU between, scaled and added.

    The weight and the bias of the norm are part of the first linear layer, the scale is part of the second.
    """

    def __init__(self, weights: Weights, dim: int, hidden: int, ahead: int) -> None:
        self.ahead, self.dim, self.hidden = ahead, dim, hidden
        self._taps = np.ascontiguousarray(weights.get("depthwise.weight", dim, 1, TAPS)[:, 0].T)  # [TAPS, dim]
        self._taps_bias = weights.get("depthwise.bias", dim)
        weight, bias = weights.get("norm.weight", dim), weights.get("norm.bias", dim)
        expand, expand_bias = weights.linear("expand", dim, hidden)
        self._expand, self._expand_bias = weight[:, None] * expand, expand_bias + bias @ expand
        contract, contract_bias = weights.linear("contract", hidden, dim)
        scale = weights.get("scale", dim)
        self._contract, self._contract_bias = contract * scale, contract_bias * scale

    def run(self, padded: Array, out: Array, scratch: tuple[Array, Array, Array]) -> None:
        """padded [TAPS - 1 + T + TAPS // 2, dim], zeros beyond the ends -> out, of the same form.

        scratch: three arrays [rows, hidden].
        """
        frames = len(padded) - (TAPS - 1) - TAPS // 2
        rows, columns = padded.strides
        for start in range(0, frames, len(scratch[0])):
            size = min(len(scratch[0]), frames - start)
            around = np.lib.stride_tricks.as_strided(
                padded[start + self.ahead :], (size, TAPS, self.dim), (rows, rows, columns), writeable=False
            )
            mixed = self.mixed(around, scratch)
            here = slice(TAPS - 1 + start, TAPS - 1 + start + size)
            np.add(padded[here], mixed, out=out[here])

    def mixed(self, around: Array, scratch: tuple[Array, Array, Array]) -> Array:
        """What is added to each frame: around [t, TAPS, dim], the frames around it -> [t, dim]; scratch as in `run`."""
        mixed: Array = np.einsum("tkc,kc->tc", around, self._taps)
        mixed += self._taps_bias
        normalise_(mixed)
        wide, square, power = (array[: len(mixed)] for array in scratch)
        np.matmul(mixed, self._expand, out=wide)
        wide += self._expand_bias
        gelu_(wide, square, power)
        np.matmul(wide, self._contract, out=mixed)
        mixed += self._contract_bias
        return mixed


class Blocks:
    """Blocks in sequence; ahead: look-ahead of each in frames, at most TAPS // 2."""

    def __init__(self, weights: Weights, *, dim: int, hidden: int, ahead: list[int]) -> None:
        self.blocks = [
            Block(weights.section(f"layers.{number}"), dim, hidden, each) for number, each in enumerate(ahead)
        ]
        self._dim, self._hidden = dim, hidden
        self.ahead = sum(ahead)
        self.behind = (TAPS - 1) * len(ahead) - self.ahead

    def __call__(self, hidden: Array) -> Array:
        """[T, dim] -> [T, dim]; edges are padded with zeros before every convolution."""
        inside = slice(TAPS - 1, TAPS - 1 + len(hidden))
        padded = np.zeros((len(hidden) + TAPS - 1 + TAPS // 2, self._dim), np.float32)
        padded[inside] = hidden
        other = np.zeros_like(padded)
        wide, square, power = np.empty((3, min(_ROWS, len(hidden)), self._hidden), np.float32)
        with np.errstate(over="ignore"):
            for block in self.blocks:
                block.run(padded, other, (wide, square, power))
                padded, other = other, padded
        return padded[inside]
