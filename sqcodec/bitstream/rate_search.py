"""Codes of the least weighed distortion + price x bits, as the context model will code them.

Of each stage the best sums so far go on to the next one (M-best search), and a frame may end after any stage. What a
code costs depends on the frames before it: a sweep chooses all frames at once, with the costs that the codes of the
sweep before it give; the first one starts from codes of equal prices (`sqcodec.bitstream.equal_prices`). What a frame
does to the frames after it is not looked at.

A sweep keeps the best way to end after each number of stages, and the price chooses among them. So the price of a size
needs no search of its own.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_coder import Part
from sqcodec.bitstream.context_costs import ContextCosts
from sqcodec.bitstream.lowest import lowest

CHEAPEST, DEAREST = 1e-4, 1e3  # prices of a bit
_LOWER = 0.8  # of the price, at which it is seen whether a frame goes on: somewhat lower ones may choose as well
_SHORT = 20000  # frames whose states are kept
_SAMPLE = 400  # frames, roughly, of which the bits of all are told
_GUESSES = 6  # searches of them at most
_CLOSE = 0.03  # logarithm of the ratio of bits at which they end
_NEAR = 0.5  # logarithm of the ratio of two prices
_FAR = 2.0  # how much larger or smaller the next price may be
_ROWS = 512  # sums that are searched at once
_LN_2 = math.log(2)


class Latents(NamedTuple):
    """What is to be coded: z [T, D] float32, and the weights of the squared errors, [T] or, of one codebook, [T, D]."""

    z: NDArray[np.float32]
    weights: NDArray[np.float32]


class Search(NamedTuple):
    """price: of a bit, in units of weighed squared error; limit: stages at most; kept: sums that go on."""

    price: float
    limit: int
    kept: int


class Ways(NamedTuple):
    """The best way to code each of T frames that a search found, with n stages in column n - 1: weighed squared errors
    and nats [T, L], infinite where it found none; codes [T, L, L], 0 beyond the stages."""

    errors: NDArray[np.float32]
    nats: NDArray[np.float32]
    codes: NDArray[np.uint16]

    def best(self, price: float) -> NDArray[np.int64]:
        """The stages [T] of the least costs at a price of a bit."""
        stages: NDArray[np.int64] = 1 + (self.errors + np.float32(price / _LN_2) * self.nats).argmin(axis=1)
        return stages

    def bits(self, price: float) -> float:
        """What the codes at a price take."""
        taken = np.take_along_axis(self.nats, self.best(price)[:, None] - 1, axis=1)
        return float(taken.sum(dtype=np.float64)) / _LN_2

    def part(self, price: float) -> Part:
        """The codes at a price."""
        stages = self.best(price)
        codes = self.codes[np.arange(len(stages)), stages - 1]
        return Part(np.ascontiguousarray(codes.T), stages.astype(np.uint8))

    def price_of(self, bits: float) -> float:
        """The price at which the codes take so many bits."""
        return least_price(lambda price: self.bits(price) > bits)


class Codewords:
    """A codebook [K, V, D] as searches need it."""

    def __init__(self, books: NDArray[np.float32]) -> None:
        self.words = books
        self._turned = [np.ascontiguousarray(-2 * book.T) for book in books]
        self._squares = [np.square(book).sum(axis=1) for book in books]

    def distances(self, stage: int, left: NDArray[np.float32]) -> NDArray[np.float32]:
        """Squared distances [N, V] of `left` [N, D] to the codewords of a stage, without the squared norm of `left`."""
        every: NDArray[np.float32] = left @ self._turned[stage]
        every += self._squares[stage]
        return every


class Sweep:
    """All frames of a recording, each with the costs that fixed codes of the frames before it give: `former`, block by
    block."""

    def __init__(self, latents: Latents, former: Sequence[Part], codewords: Codewords, costs: ContextCosts) -> None:
        self._latents, self._former, self._codewords, self._costs = latents, former, codewords, costs
        self._kept = list(costs.states(former)) if len(latents.z) <= _SHORT else None

    def ways(self, how: Search) -> Ways:
        """How every frame can be coded, at prices near that of the search."""
        z, weights = self._latents
        return _joined([self._ways(Latents(z[span], weights[span]), states, how) for span, states in self._blocks()])

    def price_of(self, bits: float, how: Search) -> float:
        """The price at which all frames take so many bits, roughly: by a sample of them, and half the sums.

        how: a first guess.
        """
        latents, states = self.sample
        bits *= len(states) / len(self._latents.z)
        how = how._replace(kept=(how.kept + 1) // 2)
        known: dict[bool, tuple[float, float]] = {}  # of too few bits and of too many: price and ratio, as logarithms
        for _ in range(_GUESSES):
            ways, price = self._ways(latents, states, how), how.price
            over = math.log(max(1.0, ways.bits(price)) / bits)
            known[over > 0] = math.log(price), over
            if len(known) == 2:
                (dear, below), (cheap, above) = known[False], known[True]
                how = how._replace(price=math.exp(dear + (cheap - dear) * below / (below - above)))
            else:
                chosen = ways.price_of(bits)
                how = how._replace(price=min(_FAR * price, max(price / _FAR, chosen)))
            if abs(over) <= _CLOSE or abs(math.log(how.price / price)) <= _NEAR / 2:
                break
        return how.price

    @cached_property
    def sample(self) -> tuple[Latents, NDArray[np.float32]]:
        """Frames of all loudness, and the states before them."""
        z, weights = self._latents
        ordered = np.argsort(weights * np.square(z).sum(axis=1))
        step = max(1, len(ordered) // _SAMPLE)
        rows = np.sort(ordered[step // 2 :: step])
        found = [
            states[rows[(span.start <= rows) & (rows < span.stop)] - span.start] for span, states in self._blocks()
        ]
        return Latents(z[rows], weights[rows]), np.concatenate(found)

    def _blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The frames of each block and the states before them: of an hour they take 140 MB, so they are made anew."""
        start = 0
        for states in self._kept or self._costs.states(self._former):
            yield slice(start, start + len(states)), states
            start += len(states)

    def _ways(self, latents: Latents, states: NDArray[np.float32], how: Search) -> Ways:
        at_once = max(1, _ROWS // how.kept)
        runs = [slice(first, first + at_once) for first in range(0, len(states), at_once)]
        z, weights = latents
        return _joined([_ways(z[run], weights[run], states[run], self._codewords, self._costs, how) for run in runs])


def _joined(ways: Sequence[Ways]) -> Ways:
    return Ways(*map(np.concatenate, zip(*ways, strict=True)))


class _Going(NamedTuple):
    """Frames that go on, and P sums for each: rows [n], what is left of z [n, P, D], its squared norm and the nats so
    far [n, P], the sums as the network sees them [n, P, D], the codes [n, P, stages]."""

    rows: NDArray[np.int64]
    left: NDArray[np.float32]
    errors: NDArray[np.float32]
    nats: NDArray[np.float32]
    sums: NDArray[np.float32]
    paths: NDArray[np.uint16]

    def only(self, kept: NDArray[np.bool_]) -> "_Going":
        """Some of the frames."""
        return _Going(
            self.rows[kept], self.left[kept], self.errors[kept], self.nats[kept], self.sums[kept], self.paths[kept]
        )


def _ways(
    z: NDArray[np.float32],
    weights: NDArray[np.float32],
    states: NDArray[np.float32],
    codewords: Codewords,
    costs: ContextCosts,
    how: Search,
) -> Ways:
    """Of frames z [N, D] of weights [N] after states [N, hidden]."""
    rows, dim = z.shape
    errors, nats = np.full((2, rows, how.limit), np.inf, np.float32)
    ways = Ways(errors, nats, np.zeros((rows, how.limit, how.limit), np.uint16))
    prices = np.float32(how.price / _LN_2) / weights[:, None]  # of a nat, in units of squared error
    least = np.full(rows, np.inf, np.float32)  # costs so far at a lower price
    layers = costs.layers(states, how.limit)
    going = _Going(np.arange(rows), z[:, None], np.square(z).sum(axis=1)[:, None], np.zeros((rows, 1), np.float32),
                   np.zeros((rows, 1, dim), np.float32), np.zeros((rows, 1, 0), np.uint16))  # fmt: skip
    for stage in range(how.limit):
        price = prices[going.rows]
        more = costs.nats(stage, layers[stage, going.rows], going.sums, ends=stage > 0)
        if stage:
            _note_(ways, going, going.nats + more[..., -1], price, stage)
            ended = errors[going.rows, stage - 1] + _LOWER * price[:, 0] * nats[going.rows, stage - 1]
            least[going.rows] = np.minimum(least[going.rows], ended)
        going = _one_more(going, more[..., : costs.size], price, stage, codewords, costs, how)
        if stage + 1 == how.limit:
            _note_(ways, going, going.nats, price, how.limit)
        else:  # where one more cost more, so do two
            going = going.only((going.errors + _LOWER * price * going.nats).min(axis=1) < least[going.rows])
        if not len(going.rows):
            break
    errors *= weights[:, None]
    return ways


def _note_(ways: Ways, going: _Going, nats: NDArray[np.float32], price: NDArray[np.float32], stages: int) -> None:
    """The best of the sums to end with; nats [n, P]: with the end's."""
    every, which = np.arange(len(nats)), (going.errors + price * nats).argmin(axis=1)
    ways.errors[going.rows, stages - 1] = going.errors[every, which]
    ways.nats[going.rows, stages - 1] = nats[every, which]
    ways.codes[going.rows, stages - 1, :stages] = going.paths[every, which]


def _one_more(
    going: _Going,
    nats: NDArray[np.float32],
    price: NDArray[np.float32],
    stage: int,
    codewords: Codewords,
    costs: ContextCosts,
    how: Search,
) -> _Going:
    """The best sums with one codeword more; nats: [n, P, V] of that codeword; price [n, 1]."""
    rows, _, dim = going.left.shape
    errors = codewords.distances(stage, going.left.reshape(-1, dim)).reshape(nats.shape)
    ways = nats * price[..., None]
    ways += errors
    ways += (going.errors + price * going.nats)[..., None]
    ways = ways.reshape(rows, -1)
    best, every = lowest(ways, min(how.kept, ways.shape[1])), np.arange(rows)[:, None]
    parent, code = best // costs.size, best % costs.size
    return _Going(
        going.rows,
        going.left[every, parent] - codewords.words[stage][code],
        going.errors[every, parent] + errors[every, parent, code],
        going.nats[every, parent] + nats[every, parent, code],
        going.sums[every, parent] + costs.words(stage, code),
        np.concatenate([going.paths[every, parent], code[..., None].astype(np.uint16)], axis=2),
    )


def are_near(first: float, second: float) -> bool:
    """Whether codes of two prices can be chosen among the ways of either."""
    return abs(math.log(first / second)) <= _NEAR


def least_price(is_too_cheap: Callable[[float], bool]) -> float:
    """The least price from `CHEAPEST` to `DEAREST` that is not too cheap."""
    low, high = math.log(CHEAPEST), math.log(DEAREST)
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_cheap(math.exp(middle)) else (low, middle)
    return math.exp(high)
