"""Functions that take NumPy arrays and tensors alike, against NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sqcodec.arrays import (
    amplitude_to_db,
    db_to_amplitude,
    frames_of,
    mel_amplitude,
    namespace,
    pre_emphasise,
    reflect_index,
)

KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
Kind = Callable[[Any], Any]


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 100])
def test_reflection_is_numpys_however_far(samples: int) -> None:
    index = reflect_index(np.arange(-250, samples + 250), samples)
    np.testing.assert_array_equal(index, np.pad(np.arange(samples), 250, mode="reflect"))


@KINDS
def test_pre_emphasis_goes_on_from_the_sample_before(kind: Kind) -> None:
    samples = np.random.default_rng(0).normal(size=100).astype(np.float32)
    whole = pre_emphasise(kind(samples), 0.25, 0.97)
    assert namespace(whole) is namespace(kind(samples))
    np.testing.assert_allclose(whole[0], samples[0] - 0.97 * 0.25, rtol=1e-6)
    parts = [
        pre_emphasise(kind(samples[:40]), 0.25, 0.97),
        pre_emphasise(kind(samples[40:]), float(samples[39]), 0.97),
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@KINDS
def test_decibels_go_round_trip(kind: Kind) -> None:
    amplitude = kind(np.array([1e-5, 0.1, 1.0, 10.0], np.float32))
    np.testing.assert_allclose(amplitude_to_db(amplitude), [-100.0, -20.0, 0.0, 20.0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(db_to_amplitude(amplitude_to_db(amplitude)), amplitude, rtol=1e-5)


@KINDS
@pytest.mark.parametrize("dynamic_range", [None, 80.0])
def test_mel_amplitude_undoes_the_logarithm(kind: Kind, dynamic_range: float | None) -> None:
    amplitude = np.array([1e-3, 0.1, 1.0], np.float32)
    features = np.log(amplitude) if dynamic_range is None else 20 * np.log10(amplitude) / dynamic_range + 1
    np.testing.assert_allclose(mel_amplitude(kind(features), dynamic_range), amplitude, rtol=1e-5)


@KINDS
def test_frames_are_a_view(kind: Kind) -> None:
    frames = frames_of(kind(np.arange(20, dtype=np.float32)), 6, 4)
    np.testing.assert_array_equal(frames, np.arange(20)[4 * np.arange(4)[:, None] + np.arange(6)])
