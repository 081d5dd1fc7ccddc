"""The least of many costs."""

import numpy as np
import pytest

from sqcodec.bitstream.lowest import lowest


@pytest.mark.parametrize("number", [1, 4, 16])
def test_the_least_come_first_and_of_equal_ones_the_first(number: int) -> None:
    costs = np.random.default_rng(0).integers(0, 40, (50, 64)).astype(np.float32)  # many are equal
    given = costs.copy()
    expected = np.argsort(costs, axis=1, kind="stable")[:, :number]
    assert np.array_equal(lowest(costs, number), expected)
    assert np.array_equal(costs, given)


def test_costs_beyond_all_limits_come_last() -> None:
    costs = np.array([[np.inf, 3.0, np.inf, 1.0]], np.float32)
    assert lowest(costs, 2).tolist() == [[3, 1]]
