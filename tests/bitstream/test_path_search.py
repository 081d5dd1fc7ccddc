"""The search of a model of one codebook: the nearest codewords where bits are free, the least cost elsewhere."""

import itertools

import numpy as np
import pytest

from sqcodec.bitstream.context_coder import Part, frame_bits
from sqcodec.bitstream.path_search import Paths, cheapest_codes
from sqcodec.bitstream.rate_search import Latents
from tests.bitstream.examples import make_context

SIZE, DIM = 4, 5
MODEL = make_context(1, SIZE, dim=DIM)
CODEBOOK = np.random.default_rng(0).normal(size=(SIZE, DIM)).astype(np.float32)


def latents(length: int, seed: int, columns: int = DIM) -> Latents:
    rng = np.random.default_rng(seed)
    z, weights = rng.normal(size=(length, DIM)), rng.uniform(0.3, 3, (length, columns))
    return Latents(z.astype(np.float32), weights.astype(np.float32))


def errors_of(part: Latents) -> np.ndarray:
    """Weighed squared errors [T, V], in float64."""
    differences = part.z[:, None].astype(np.float64) - CODEBOOK
    return (part.weights[:, None] * np.square(differences)).sum(axis=2)


def bits_of(codes: np.ndarray) -> float:
    part = Part(codes[None].astype(np.uint16), np.ones(len(codes), np.uint8))
    return float(frame_bits([part], MODEL, stops=False)[0].sum())


def cost_of(codes: np.ndarray, part: Latents, price: float) -> float:
    return float(errors_of(part)[np.arange(len(codes)), codes].sum()) + price * bits_of(codes)


@pytest.mark.parametrize("histories", [1, 4])
@pytest.mark.parametrize("columns", [1, DIM])
def test_where_bits_are_free_the_nearest_codewords_are_taken(histories: int, columns: int) -> None:
    part = latents(60, 1, columns)
    (codes,) = cheapest_codes([part], CODEBOOK, MODEL, Paths(0.0, histories))
    assert np.array_equal(codes, errors_of(part).argmin(axis=1))


def test_all_histories_find_the_least_cost_of_all_sequences() -> None:
    """4 frames of 4 codewords: 256 sequences, and as many histories. Costs are compared, within float32's rounding."""
    for seed in range(3):
        part = latents(4, seed)
        (codes,) = cheapest_codes([part], CODEBOOK, MODEL, Paths(0.5, 256))
        every = [cost_of(np.array(path), part, 0.5) for path in itertools.product(range(SIZE), repeat=4)]
        assert cost_of(codes, part, 0.5) == pytest.approx(min(every), rel=1e-5)


def test_bits_fall_as_their_price_rises() -> None:
    part = latents(100, 2)
    found = [next(cheapest_codes([part], CODEBOOK, MODEL, Paths(price, 1))) for price in (0.0, 0.3, 1.0, 100.0)]
    bits = [bits_of(codes) for codes in found]
    assert bits[0] > bits[1] > bits[2] > bits[3]
    errors = [cost_of(codes, part, 0.0) for codes in found]
    assert errors[0] < errors[1] < errors[2] < errors[3]


def test_several_histories_cost_less_than_one() -> None:
    part = latents(300, 3)
    one, many = (next(cheapest_codes([part], CODEBOOK, MODEL, Paths(1.0, number))) for number in (1, 16))
    assert cost_of(many, part, 1.0) < cost_of(one, part, 1.0)


def test_blocks_side_by_side_are_those_one_by_one() -> None:
    """More blocks than are searched together, of several lengths."""
    parts = [latents(length, length) for length in (20, 9, 31, 20, 1)]
    how = Paths(0.5, 64)
    together = list(cheapest_codes(parts, CODEBOOK, MODEL, how))
    for part, codes in zip(parts, together, strict=True):
        assert np.array_equal(codes, next(cheapest_codes([part], CODEBOOK, MODEL, how)))
