"""Pure functions on tensors."""

import numpy as np
import pytest
import torch

from sqcodec.arrays import pre_emphasise
from sqcodec.dsp import de_emphasise, hann_window


@pytest.mark.parametrize("samples", [1, 2, 3, 100, 5000])
def test_de_emphasis_undoes_pre_emphasis(samples):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, samples))).float()
    back = de_emphasise(pre_emphasise(x, 0.0, 0.97), 0.97)
    # float32 rounding of the differences, summed with a memory of 1 / (1 - 0.97) samples
    assert (back - x).abs().max() < 2e-5
    assert torch.equal(de_emphasise(x, 0.0), x)


def test_a_window_first_used_without_gradients_serves_a_training() -> None:
    hann_window.cache_clear()
    with torch.inference_mode():
        hann_window(16, torch.device("cpu"))
    frames = torch.ones(16, requires_grad=True)
    (frames * hann_window(16, torch.device("cpu"))).sum().backward()
    assert frames.grad is not None
