"""Codes of the least weighed distortion + price x bits, as the context model will code them.

Of each stage the best sums so far go on to the next one (M-best search), and a frame may end after any stage. What a
code costs depends on the frames before it: a sweep chooses all frames at once, with the costs that the codes of the
sweep before it give, and the first one starts from codes of equal prices. What a frame does to the frames after it is
not looked at.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_coder import Part, states_of
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.entropy_tables import TOTAL, TOTAL_BITS
from sqcodec.bitstream.lowest import lowest

_KEPT = 4  # sums that go on to the next stage where bits cost nothing
_SPAN = 1.5  # how many times the mean number of stages, and one, a frame may have (docs/results/rate.md)
CHEAPEST, DEAREST = 1e-4, 1e3  # prices of a bit
_FRAMES = 128  # searched at once, so that memory stays small
BITS = TOTAL_BITS - np.log2(np.maximum(np.arange(TOTAL + 1), 1), dtype=np.float32)  # of each frequency


class Latents(NamedTuple):
    """What is to be coded: z [T, D] float32, and the weights of the squared errors, [T] or, of one codebook, [T, D]."""

    z: NDArray[np.float32]
    weights: NDArray[np.float32]


class Search(NamedTuple):
    """price: of a bit, in units of weighed squared error; limit: stages at most; kept: sums that go on."""

    price: float
    limit: int
    kept: int


class Prefixes(NamedTuple):
    """The best codes for every number of stages n: codes [K, K, T] uint16, those of n stages in row n - 1, 0 beyond
    them; errors [K, T], weighed."""

    codes: NDArray[np.uint16]
    errors: NDArray[np.float32]


def best_prefixes(latents: Latents, codebook: NDArray[np.float32]) -> Prefixes:
    """M-best search over the stages as if bits cost nothing; codebook [K, V, D]."""
    words = _Codebook(codebook)
    parts = [
        _prefixes(latents.z[first : first + _FRAMES], codebook, words) for first in range(0, len(latents.z), _FRAMES)
    ]
    codes, errors = (np.concatenate(values, axis=-1) for values in zip(*parts, strict=True))
    return Prefixes(codes, errors * latents.weights)


def _prefixes(
    z: NDArray[np.float32], codebook: NDArray[np.float32], words: "_Codebook"
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    books, size, _ = codebook.shape
    every, rows = np.arange(len(z))[:, None], len(z)
    left, errors = z[:, None], np.square(z).sum(axis=1)[:, None]
    paths = np.zeros((rows, 1, 0), np.uint16)
    codes, least = np.zeros((books, books, rows), np.uint16), np.zeros((books, rows), np.float32)
    for stage in range(books):
        costs = (left.reshape(-1, left.shape[-1]) @ words.turned[stage]).reshape(*left.shape[:2], size)
        costs += words.squares[stage] + errors[..., None]
        costs = costs.reshape(rows, -1)
        kept = min(_KEPT, costs.shape[1])
        best = lowest(costs, kept)
        errors, parent, code = costs[every, best], best // size, best % size
        left = left[every, parent] - words.words[stage][code]
        paths = np.concatenate([paths[every, parent], code[..., None].astype(np.uint16)], axis=2)
        first = errors.argmin(axis=1)
        codes[stage, : stage + 1] = paths[every[:, 0], first].T
        least[stage] = errors[every[:, 0], first]
    return codes, least


def priced(errors: NDArray[np.float32], price: float, width: float) -> NDArray[np.uint8]:
    """How many stages [T] each frame has if every code takes `width` bits; errors: of `best_prefixes`."""
    costs = errors + np.float32(price * width) * np.arange(1, len(errors) + 1, dtype=np.float32)[:, None]
    stages: NDArray[np.uint8] = (1 + costs.argmin(axis=0)).astype(np.uint8)
    return stages


def most_stages(errors: NDArray[np.float32], price: float, width: float) -> int:
    """How many stages a frame may have at a price: without a limit, loud frames take what would make the others
    intelligible."""
    mean = priced(errors, price, width).mean(dtype=np.float64)
    return min(len(errors), 1 + round(_SPAN * float(mean)))


def ends(errors: NDArray[np.float32], price: float, width: float) -> NDArray[np.uint8]:
    """As `priced`, with no more stages than `most_stages`."""
    return priced(errors[: most_stages(errors, price, width)], price, width)


def price_of(errors: NDArray[np.float32], stages: float, width: float) -> float:
    """The price at which `ends` gives so many stages in all."""
    low, high = math.log(CHEAPEST), math.log(DEAREST)
    for _ in range(16):
        middle = (low + high) / 2
        is_too_many = int(ends(errors, math.exp(middle), width).sum(dtype=np.int64)) > stages
        low, high = (middle, high) if is_too_many else (low, middle)
    return math.exp(high)


def sweep(
    parts: Sequence[Latents], former: Sequence[Part], codebook: NDArray[np.float32], model: ContextModel, how: Search
) -> list[Part]:
    """The codes of each block, with the costs that its former codes give; codebook [K, V, D]."""
    words = _Codebook(codebook[: how.limit])
    found = []
    for latents, states in zip(parts, states_of(former, model), strict=True):
        best = [
            _frames(latents.z[rows], latents.weights[rows], model.layers(states[rows], how.limit), words, model, how)
            for rows in (slice(first, first + _FRAMES) for first in range(0, len(latents.z), _FRAMES))
        ]
        codes, stages = np.concatenate([one.paths for one in best]), np.concatenate([one.stages for one in best])
        found.append(Part(np.ascontiguousarray(codes.T), stages))
    return found


class _Codebook:
    def __init__(self, books: NDArray[np.float32]) -> None:
        self.words = books
        self.turned = [np.ascontiguousarray(-2 * book.T) for book in books]
        self.squares = [np.square(book).sum(axis=1) for book in books]


class _Best:
    """The best way to code each frame so far, [N] each; paths [N, limit], 0 beyond the stages."""

    def __init__(self, rows: int, limit: int) -> None:
        self.costs = np.full(rows, np.inf, np.float32)
        self.stages, self.paths = np.zeros(rows, np.uint8), np.zeros((rows, limit), np.uint16)

    def offer_(self, costs: NDArray[np.float32], going: "_Going", stage: int) -> None:
        """Ways [n, P] for the frames that go on to end after `stage` stages."""
        which = costs.argmin(axis=1)
        least = costs[np.arange(len(costs)), which]
        better = np.flatnonzero(least < self.costs[going.rows])
        rows = going.rows[better]
        self.costs[rows], self.stages[rows] = least[better], stage
        self.paths[rows, :stage] = going.paths[better, which[better]]


class _Going(NamedTuple):
    """Frames that go on, and P sums for each: rows [n], what is left of z [n, P, D], its squared norm and the bits so
    far [n, P], the sums as integers [n, P, D], the codes [n, P, stages]."""

    rows: NDArray[np.int64]
    left: NDArray[np.float32]
    errors: NDArray[np.float32]
    bits: NDArray[np.float32]
    sums: NDArray[np.int32]
    paths: NDArray[np.uint16]

    def only(self, kept: NDArray[np.bool_]) -> "_Going":
        """Some of the frames."""
        return _Going(
            self.rows[kept], self.left[kept], self.errors[kept], self.bits[kept], self.sums[kept], self.paths[kept]
        )


def _frames(
    z: NDArray[np.float32],
    weights: NDArray[np.float32],
    layers: NDArray[np.int32],
    codebook: _Codebook,
    model: ContextModel,
    how: Search,
) -> _Best:
    """Code frames z [N, D] of weights [N]; layers: [N, limit, width], of their states."""
    rows, dim = z.shape
    best = _Best(rows, how.limit)
    going = _Going(np.arange(rows), z[:, None], np.square(z).sum(axis=1)[:, None], np.zeros((rows, 1), np.float32),
                   np.zeros((rows, 1, dim), np.int32), np.zeros((rows, 1, 0), np.uint16))  # fmt: skip
    for stage in range(how.limit):
        many = going.left.shape[1]
        layer = np.repeat(layers[going.rows, stage], many, axis=0)
        shares = model.frequencies(stage, layer, going.sums.reshape(-1, dim), ends=stage > 0)
        bits = BITS[shares].reshape(len(going.rows), many, -1) + going.bits[..., None]
        if stage:
            best.offer_(weights[going.rows, None] * going.errors + how.price * bits[..., -1], going, stage)
        going = _one_more(going, bits[..., : model.size], weights[going.rows], stage, codebook, model, how)
        costs = weights[going.rows, None] * going.errors + how.price * going.bits
        if stage + 1 == how.limit:
            best.offer_(costs, going, how.limit)
        going = going.only(costs.min(axis=1) < best.costs[going.rows])  # where one more cost more, so do two
        if not len(going.rows):
            break
    return best


def _one_more(
    going: _Going,
    bits: NDArray[np.float32],
    weights: NDArray[np.float32],
    stage: int,
    codebook: _Codebook,
    model: ContextModel,
    how: Search,
) -> _Going:
    """The best sums with one codeword more; bits: [n, P, V] with that codeword."""
    rows, _, dim = going.left.shape
    errors = (going.left.reshape(-1, dim) @ codebook.turned[stage]).reshape(bits.shape)
    errors += codebook.squares[stage] + going.errors[..., None]
    costs = (weights[:, None, None] * errors + how.price * bits).reshape(rows, -1)
    every = np.arange(rows)[:, None]
    kept = min(how.kept, costs.shape[1])
    best = lowest(costs, kept)
    parent, code = best // model.size, best % model.size
    return _Going(
        going.rows,
        going.left[every, parent] - codebook.words[stage][code],
        errors.reshape(rows, -1)[every, best],
        bits.reshape(rows, -1)[every, best],
        model.add(going.sums[every, parent], stage, code),
        np.concatenate([going.paths[every, parent], code[..., None].astype(np.uint16)], axis=2),
    )
