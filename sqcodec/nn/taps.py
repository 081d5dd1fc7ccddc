"""Taps and look-ahead of the ConvNeXt layers, known without torch."""

TAPS = 7
_HALF = TAPS // 2


def ahead_of_each(layers: int, lookahead: int) -> list[int]:
    """Look-ahead in frames of the first convolution and of each block: at most 3 each, `lookahead` in all."""
    return [max(0, min(_HALF, lookahead - _HALF * layer)) for layer in range(layers + 1)]
