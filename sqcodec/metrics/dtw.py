"""Dynamic time warping of a matrix of frame distances (Sakoe and Chiba, IEEE TASSP 26(1), 1978).

Steps: both sequences on, or one of them; each cell of the path counts once. Compiled by numba at the first call.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]


def warp_path(distance: NDArray[Any]) -> NDArray[np.intp]:
    """The cheapest path through distance [N, M] from the first cell to the last: [cells, 2].

    Ties: both on before the second alone before the first alone, seen from the end.
    """
    reversed_path: NDArray[np.intp] = _walk(np.ascontiguousarray(distance, np.float64))
    return reversed_path[::-1]


@numba.njit(cache=False)
def accumulate_(cost: Any) -> None:
    """Turn distances [N, M] into the cost of the cheapest path to each cell, in place."""
    for i in range(1, cost.shape[0]):
        cost[i, 0] += cost[i - 1, 0]
    for j in range(1, cost.shape[1]):
        cost[0, j] += cost[0, j - 1]
    for i in range(1, cost.shape[0]):
        for j in range(1, cost.shape[1]):
            cost[i, j] += min(cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1])


@numba.njit(cache=False)
def step_back(cost: Any, i: int, j: int) -> tuple[int, int]:
    """The cell before (i, j) on the cheapest path through what `accumulate_` made."""
    if i == 0:
        return 0, j - 1
    if j == 0:
        return i - 1, 0
    diagonal, left, up = cost[i - 1, j - 1], cost[i, j - 1], cost[i - 1, j]
    if diagonal <= left and diagonal <= up:
        return i - 1, j - 1
    if left <= up:
        return i, j - 1
    return i - 1, j


@numba.njit(cache=False)
def _walk(distance: Any) -> Any:
    cost = distance.copy()
    accumulate_(cost)
    i, j = cost.shape[0] - 1, cost.shape[1] - 1
    path = [(i, j)]
    while i > 0 or j > 0:
        i, j = step_back(cost, i, j)
        path.append((i, j))
    return np.array(path)
