"""Intervals of means, and bit rates."""

import numpy as np
import pytest
from scipy import stats

from sqcodec.metrics.bd_rate import bd_rate
from sqcodec.metrics.bootstrap import bootstrap_mean
from sqcodec.metrics.rate import entropy, rates


def test_the_interval_is_the_percentile_bootstrap_s() -> None:
    values = np.random.default_rng(5).gamma(2.0, size=60)
    got = bootstrap_mean(values.tolist())
    other = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=1).confidence_interval
    # ends of 2000 draws scatter by about sqrt(0.025 0.975 / 2000) / density = 5 % of the interval's half width
    width = other.high - other.low
    assert (got.mean, got.files) == (pytest.approx(values.mean()), 60)
    assert got.low == pytest.approx(other.low, abs=0.1 * width)
    assert got.high == pytest.approx(other.high, abs=0.1 * width)
    assert bootstrap_mean(values.tolist()) == got


def test_no_file_has_no_mean() -> None:
    assert bootstrap_mean([]) == (None, None, None, 0)
    assert bootstrap_mean([2.5]) == (2.5, 2.5, 2.5, 1)


def test_rates_of_known_codes() -> None:
    files = [np.array([[0, 1, 0, 1, 0]], np.uint16), np.array([[0, 1, 0]], np.uint16)]
    got = rates(files, codewords=[8], sizes=[10, 6], seconds=2.0)
    share = np.array([5, 3]) / 8
    unigram = -(share * np.log2(share)).sum()
    assert got.nominal == 8 * 3 / 2.0
    assert got.unigram == pytest.approx(8 * unigram / 2.0)
    # after 0 comes always 1, after 1 always 0: only the two first codes cost anything
    assert got.conditional == pytest.approx(2 * unigram / 2.0)
    assert (got.on_disk, got.codes, got.seconds) == (16 * 8 / 2.0, 8, 2.0)


def test_stages_are_rated_apart() -> None:
    codes = np.random.default_rng(0).integers(0, 4, size=(2, 5000)).astype(np.uint16)
    got = rates([codes], codewords=[4, 4], sizes=[1], seconds=1.0)
    # uniform and independent: 2 bit a code; counts of 5000 in 4 and in 16 classes bias by (16 - 4) / (2 ln 2 5000)
    assert got.unigram == pytest.approx(20_000, rel=2e-3)
    assert got.conditional == pytest.approx(20_000, rel=4e-3)


def test_codes_that_a_frame_does_not_use_are_not_rated() -> None:
    files = [np.array([[0, 1, 0, 1], [2, -1, 3, 3]]), np.array([[1, 0]])]
    got = rates(files, codewords=[2, 4], sizes=[4, 2], seconds=1.0)
    assert (got.codes, got.nominal, got.on_disk) == (9, 6 * 1 + 3 * 2, 48)
    second = -(1 / 3 * np.log2(1 / 3) + 2 / 3 * np.log2(2 / 3))
    assert got.unigram == pytest.approx(6 * 1 + 3 * second)
    # of the first codebook only the first code of each file costs; of the second the one pair (3, 3) costs nothing
    assert got.conditional == pytest.approx(2 * 1 + 2 * second)


def test_the_bd_rate_of_shifted_lines_is_their_shift() -> None:
    first = [(rate, 1 + np.log2(rate / 400)) for rate in (400, 800, 1600)]
    second = [(rate * 0.8, quality) for rate, quality in first[::-1]]
    assert bd_rate(first, second) == pytest.approx(-20)
    assert bd_rate(second, first) == pytest.approx(25)
    # over the range in common only: quality 2 to 3, where the second line is the first
    assert bd_rate(first, [(100, 1.5), (800, 2.0), (1600, 3.0)]) == pytest.approx(
        100 * (np.exp(np.trapezoid([np.log(100 / 400 / 2**0.5), 0], [1.5, 2]) / 1.5) - 1), rel=1e-2
    )


@pytest.mark.parametrize("other", [[], [(400, 2.0)], [(400, 5.0), (800, 6.0)]])
def test_curves_without_a_range_in_common_have_no_bd_rate(other) -> None:
    assert bd_rate([(400, 1.0), (800, 2.0)], other) is None


def test_entropy_of_nothing() -> None:
    assert entropy(np.zeros(0, np.int64)) == 0.0
    assert entropy(np.array([3, 3, 3])) == 0.0
