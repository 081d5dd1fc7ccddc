"""Smoothed counts of order n."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from sqcodec.prior.ngram import Ngram, bits_per_code


def test_probabilities_by_hand() -> None:
    """aab: a twice, b once; after a: a once, b once."""
    ngram = Ngram([[0, 0, 1]], order=1, codewords=3, discount=0.5)
    half = Fraction(1, 2)
    plain = [(2 - half) / 3 + half * 2 / 3 / 3, (1 - half) / 3 + half * 2 / 3 / 3, half * 2 / 3 / 3]
    assert sum(plain) == 1
    after = [
        (1 - half) / 2 + half * 2 / 2 * share if seen else half * share
        for share, seen in zip(plain, (1, 1, 0), strict=True)
    ]
    assert sum(after) == 1
    for code in range(3):
        assert ngram.bits([code]) == pytest.approx(-math.log2(plain[code]))
        assert ngram.bits([0, code]) == pytest.approx(-math.log2(plain[0] * after[code]))
        assert ngram.bits([2, code]) == pytest.approx(-math.log2(plain[2] * plain[code]))  # nothing came after 2


@pytest.mark.parametrize("order", [0, 1, 2])
def test_all_sequences_of_a_length_have_probability_one(order) -> None:
    rng = np.random.default_rng(0)
    ngram = Ngram(rng.integers(0, 3, (4, 20)).tolist(), order=order, codewords=4, discount=0.5)
    total = sum(2 ** -ngram.bits(sequence) for sequence in itertools.product(range(4), repeat=3))
    assert total == pytest.approx(1)


def test_more_context_predicts_a_chain_better_and_bits_are_means() -> None:
    rng = np.random.default_rng(0)
    codes = [np.cumsum(rng.choice([1, 1, 1, 2], (2, 300)), axis=1) % 7 for _ in range(20)]
    bits = [bits_per_code(codes[:15], codes[15:], (7, 7), order) for order in (0, 1, 2)]
    assert bits[0] == pytest.approx(math.log2(7), abs=0.02)  # all codes alike
    assert bits[1] == pytest.approx(-0.75 * math.log2(0.75) - 0.25 * math.log2(0.25), abs=0.02)
    assert bits[2] == pytest.approx(bits[1], abs=0.02)  # a chain remembers one step
