"""Figures that must come out exactly."""

import pytest
import torch

from sqcodec.metrics.codebook_usage import codewords_in_use, entropy_bits, perplexity
from sqcodec.metrics.mel_error import SquaredError, squared_error


def test_db2_weighs_files_by_their_frames():
    one = squared_error(torch.zeros(80, 10), torch.full((80, 10), 0.1))
    two = squared_error(torch.zeros(80, 30), torch.full((80, 30), 0.2))
    # (10 x 0.01 + 30 x 0.04) / 40 = 0.0325, times 80^2
    assert (one + two).db2(80.0) == pytest.approx(208.0, rel=1e-6)
    assert SquaredError() + one == one


def test_usage_of_known_counts():
    assert perplexity(torch.tensor([5, 5, 5, 5])) == pytest.approx(4.0)
    assert entropy_bits(torch.tensor([2, 1, 1, 0])) == pytest.approx(1.5)
    assert codewords_in_use(torch.tensor([2, 1, 1, 0])) == 3
    assert perplexity(torch.tensor([7, 0])) == 1.0
    assert (perplexity(torch.zeros(4)), entropy_bits(torch.zeros(4))) == (1.0, 0.0)
