"""The order of codewords: a permutation in which low bits lead to near codewords."""

import numpy as np
import pytest

from sqcodec.bitstream.codeword_order import codeword_order
from tests import reference


def steps(words: np.ndarray) -> list[float]:
    """Mean squared distance that a flip of each bit makes."""
    places = np.arange(len(words))
    return [np.square(words - words[places ^ 1 << bit]).sum(axis=1).mean() for bit in range(8)]


def test_low_bits_lead_to_near_codewords() -> None:
    words = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    order = codeword_order(words)
    assert sorted(order.tolist()) == list(range(256))
    ordered = steps(words[order])
    assert ordered[0] < 0.25 * np.mean(steps(words))  # pairs of nearest codewords
    assert np.mean(ordered) < 0.7 * np.mean(steps(words))
    assert ordered[:4] == sorted(ordered[:4])
    assert max(ordered[:4]) < min(ordered[4:])


@pytest.mark.parametrize(("number", "dim", "scale"), [(64, 3, 1.0), (32, 2, 4 / 4096), (1, 5, 1.0)])
def test_the_order_is_that_of_the_document(number, dim, scale) -> None:
    """Of steps as small as those of the second, many distances are equal."""
    words = (scale * np.random.default_rng(1).normal(size=(number, dim))).astype(np.float32)
    assert codeword_order(words).tolist() == reference.codeword_order(words)


def test_the_order_follows_from_the_codewords_alone() -> None:
    words = np.array([[3.0], [0.0], [3.25], [0.25]], np.float32)
    assert codeword_order(words).tolist() == codeword_order(words.copy()).tolist()
    assert {frozenset(pair) for pair in codeword_order(words).reshape(2, 2).tolist()} == {
        frozenset((0, 2)),
        frozenset((1, 3)),
    }
