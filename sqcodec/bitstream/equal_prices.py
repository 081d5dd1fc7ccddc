"""Codes whose bits have equal prices: each takes its width, whatever comes before it.

A rough view of what a price gives, for first guesses, and for training, which meets codes of all rates.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.rate_search import Codewords, Latents, least_price

_SPAN = 1.5  # how many times the mean number of stages, and one, a frame may have (docs/results/rate.md)


class Prefixes(NamedTuple):
    """The nearest codes, stage by stage [K, T] uint16, and what n of them leave: weighed errors [K, T], of n in row
    n - 1."""

    codes: NDArray[np.uint16]
    errors: NDArray[np.float32]


def nearest_prefixes(latents: Latents, codewords: Codewords) -> Prefixes:
    """The nearest codeword of each stage to what those before it leave."""
    left, shape = latents.z, (len(codewords.words), len(latents.z))
    codes, errors = np.empty(shape, np.uint16), np.empty(shape, np.float32)
    for stage, words in enumerate(codewords.words):
        codes[stage] = codewords.distances(stage, left).argmin(axis=1)
        left = left - words[codes[stage]]
        errors[stage] = np.square(left).sum(axis=1)
    return Prefixes(codes, errors * latents.weights)


def priced(errors: NDArray[np.float32], price: float, width: float) -> NDArray[np.uint8]:
    """How many stages [T] each frame has if every code takes `width` bits; errors: of `nearest_prefixes`."""
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
    return least_price(lambda price: int(ends(errors, price, width).sum(dtype=np.int64)) > stages)
