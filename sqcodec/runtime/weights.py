"""Weights by name, converted to float32 and laid out for products from the left."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Weights:
    """Arrays by name, float32, below a prefix; `section` goes further down."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> None:
        self._arrays, self._prefix = arrays, prefix

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return self._prefix + name in self._arrays

    def section(self, name: str) -> "Weights":
        """The weights whose names begin with `name.`, without it."""
        return Weights(self._arrays, f"{self._prefix}{name}.")

    def get(self, name: str, *shape: int) -> Array:
        """The array of this name. Raises KeyError: there is none; ValueError: it has another shape."""
        array = self._arrays[self._prefix + name]
        if array.shape != shape:
            raise ValueError(f"{self._prefix}{name}: got shape {array.shape}, expected {shape}")
        return np.ascontiguousarray(array, np.float32)

    def linear(self, name: str, inputs: int, outputs: int) -> tuple[Array, Array]:
        """Matrix [inputs, outputs] and bias [outputs] of a linear layer."""
        matrix = self.get(f"{name}.weight", outputs, inputs)
        return np.ascontiguousarray(matrix.T), self.get(f"{name}.bias", outputs)

    def convolution(self, name: str, inputs: int, outputs: int, taps: int) -> tuple[Array, Array]:
        """A convolution as one product: matrix [taps inputs, outputs] and bias [outputs]."""
        kernel = self.get(f"{name}.weight", outputs, inputs, taps)
        matrix = kernel.transpose(2, 1, 0).reshape(taps * inputs, outputs)
        return np.ascontiguousarray(matrix), self.get(f"{name}.bias", outputs)
