"""Bits at equal quality: the Bjontegaard delta rate (VCEG-M33, 2001), with straight lines between the points.

The curves are drawn in the logarithm of the rate; their horizontal distance is averaged over the range of quality that
both cover. Straight lines rather than the cubic of the source: with few points a cubic leaves the curve between them.
"""

from collections.abc import Sequence

import numpy as np

_STEPS = 200  # of quality, over which the distance is averaged


def bd_rate(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]) -> float | None:
    """How many per cent of bits the second curve takes more (below 0: saves) than the first, at equal quality.

    first, second: (rate in bit/s, quality) of each point, in any order. None: a curve has fewer than two points, or
    they have no range of quality in common.
    """
    if len(first) < 2 or len(second) < 2:
        return None
    lines = [sorted((quality, float(np.log(rate))) for rate, quality in points) for points in (first, second)]
    low, high = max(line[0][0] for line in lines), min(line[-1][0] for line in lines)
    if low >= high:
        return None
    grid = np.linspace(low, high, _STEPS)
    rates = [np.interp(grid, [quality for quality, _ in line], [rate for _, rate in line]) for line in lines]
    return float(100 * (np.exp((rates[1] - rates[0]).mean()) - 1))
