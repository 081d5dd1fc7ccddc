"""Taps and look-ahead of the ConvNeXt layers, known without torch."""

import numpy as np
from numpy.typing import NDArray

TAPS = 7
_HALF = TAPS // 2


def ahead_of_each(layers: int, lookahead: int) -> list[int]:
    """Look-ahead in frames of the first convolution and of each block: at most 3 each, `lookahead` in all."""
    return [max(0, min(_HALF, lookahead - _HALF * layer)) for layer in range(layers + 1)]


def fewer_ahead(kernel: NDArray[np.float32], ahead: int, fewer: int) -> NDArray[np.float32]:
    """A kernel [.., 7] that looks `ahead` frames ahead -> one for `fewer`, at the same frames as before.

    The taps beyond the new look-ahead join the last one within it, as if what they would see were like it; the oldest
    taps are new, and 0. An input that is constant from there on gives the same output.
    """
    if not 0 <= fewer <= ahead <= _HALF:
        raise ValueError(f"expected 0 <= fewer <= ahead <= {_HALF}, got {fewer} and {ahead}")
    shift = ahead - fewer
    moved = np.zeros_like(kernel)
    moved[..., shift:] = kernel[..., : TAPS - shift]
    moved[..., -1] += kernel[..., TAPS - shift :].sum(-1)
    return moved
