"""Less look-ahead for a kernel: against sums written out frame by frame."""

import numpy as np
import pytest

from sqcodec.nn.taps import TAPS, fewer_ahead


def output(kernel, ahead, signal, frame):
    """sum over k of kernel[k] x[frame - 6 + ahead + k]"""
    return sum(kernel[k] * signal[frame - TAPS + 1 + ahead + k] for k in range(TAPS))


@pytest.mark.parametrize(("ahead", "fewer"), [(3, 0), (3, 1), (2, 1), (1, 0), (2, 2), (0, 0)])
def test_what_is_constant_from_the_last_frame_seen_on_gives_the_same(ahead, fewer):
    random = np.random.default_rng(0)
    kernel, signal = random.normal(size=TAPS), random.normal(size=30)
    frame = 15
    signal[frame + fewer :] = signal[frame + fewer]
    changed = fewer_ahead(kernel, ahead, fewer)
    assert output(changed, fewer, signal, frame) == pytest.approx(output(kernel, ahead, signal, frame), abs=1e-12)
    assert changed[: ahead - fewer].tolist() == [0.0] * (ahead - fewer)


def test_leading_axes_are_kept():
    kernel = np.arange(42, dtype=np.float32).reshape(2, 3, TAPS)
    assert np.array_equal(fewer_ahead(kernel, 3, 1)[1, 2], fewer_ahead(kernel[1, 2], 3, 1))
    assert fewer_ahead(kernel, 3, 1).dtype == np.float32


@pytest.mark.parametrize(("ahead", "fewer"), [(1, 2), (4, 1), (3, -1)])
def test_more_than_before_is_refused(ahead, fewer):
    with pytest.raises(ValueError, match=f"got {fewer} and {ahead}"):
        fewer_ahead(np.zeros(TAPS, np.float32), ahead, fewer)
