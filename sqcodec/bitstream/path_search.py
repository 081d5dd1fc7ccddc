"""One code a frame, of the least weighed distortion + price x bits, as the context model will code them.

What a code costs depends on the codes before it, so frames are chosen in the order of time, and the best histories so
far go on (M-best search). One history counts what a code costs; several also see what it does to the frames after it.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_costs import ContextCosts
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.lowest import lowest
from sqcodec.bitstream.rate_search import Latents

_AT_ONCE = 128  # histories of all blocks that are searched side by side


class Paths(NamedTuple):
    """price: of a bit, in units of weighed squared error; histories: how many of a block go on."""

    price: float
    histories: int


def cheapest_codes(
    parts: Sequence[Latents], codebook: NDArray[np.float32], model: ContextModel, how: Paths
) -> Iterator[NDArray[np.uint16]]:
    """The codes [t] of each block; codebook [V, D] of a model of one codebook. A price of 0 gives the nearest ones."""
    costs, together = ContextCosts(model), max(1, _AT_ONCE // how.histories)
    for first in range(0, len(parts), together):
        yield from _side_by_side(parts[first : first + together], _Distances(codebook), costs, how)


class _Distances:
    """Weighed squared distances to all codewords, without what is common to them."""

    def __init__(self, codebook: NDArray[np.float32]) -> None:
        self._centre = codebook.mean(axis=0)  # distances do not change; rounding shrinks
        centred = codebook - self._centre
        self._turned, self._squares = np.ascontiguousarray(centred.T), np.ascontiguousarray(np.square(centred).T)

    def of(self, z: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """z [N, D], weights [N, 1 or D] -> [N, V], 0 for the nearest."""
        weights = np.broadcast_to(weights, z.shape)
        every = weights @ self._squares - 2 * (weights * (z - self._centre)) @ self._turned
        above: NDArray[np.float32] = every - every.min(axis=1, keepdims=True)
        return above


def _side_by_side(
    parts: Sequence[Latents], distances: _Distances, costs: ContextCosts, how: Paths
) -> Iterator[NDArray[np.uint16]]:
    lengths = np.array([len(part.z) for part in parts])
    shape = (int(lengths.max()), len(parts), how.histories)
    parents, codes = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    states = np.zeros((*shape[1:], costs.hidden), np.float32)
    total = np.full(shape[1:], np.inf, np.float32)
    total[:, 0] = 0  # all histories begin as one
    price = np.float32(how.price / math.log(2))  # of a nat
    for time in range(shape[0]):
        rows = np.flatnonzero(lengths > time)
        z = np.stack([parts[row].z[time] for row in rows.tolist()])
        weights = np.stack([np.atleast_1d(parts[row].weights[time]) for row in rows.tolist()])
        ways = total[rows, :, None] + distances.of(z, weights)[:, None] + price * _nats(states[rows], costs)
        best, total[rows] = _least(ways.reshape(len(rows), -1), how.histories)
        parent, code = best // costs.size, best % costs.size
        states[rows] = _after(states[rows[:, None], parent], code, costs)
        parents[time, rows], codes[time, rows] = parent, code
    for row, length in enumerate(lengths.tolist()):
        yield _traced(parents[:length, row], codes[:length, row], int(total[row].argmin()))


def _nats(states: NDArray[np.float32], costs: ContextCosts) -> NDArray[np.float32]:
    """Nats [n, M, V] of each code after states [n, M, hidden]."""
    flat = states.reshape(-1, costs.hidden)
    none = np.zeros((len(flat), 1, costs.dim), np.float32)  # there is no stage before the first one
    return costs.nats(0, costs.layers(flat, 1)[0], none, ends=False).reshape(*states.shape[:2], -1)


def _after(states: NDArray[np.float32], codes: NDArray[np.int64], costs: ContextCosts) -> NDArray[np.float32]:
    """States [n, M, hidden] after frames of codes [n, M]."""
    flat, sums = states.reshape(-1, costs.hidden), costs.words(0, codes.ravel())
    return costs.advance(flat, sums, np.ones(len(flat), np.int64)).reshape(states.shape)


def _least(ways: NDArray[np.float32], number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which [n, number] of ways [n, P] cost least, and how much more than the least of all."""
    best = lowest(ways, number)
    costs = np.take_along_axis(ways, best, axis=1)
    return best, costs - costs.min(axis=1, keepdims=True)  # so that float32 keeps the differences


def _traced(parents: NDArray[np.uint16], codes: NDArray[np.uint16], last: int) -> NDArray[np.uint16]:
    """The codes [t] of the history that ends as `last`; parents, codes: [t, M]."""
    path = np.zeros(len(codes), np.uint16)
    for time in range(len(codes) - 1, -1, -1):
        path[time], last = codes[time, last], int(parents[time, last])
    return path
