"""The layers against those of torch."""

import numpy as np
import torch

from sqcodec.nn import convnext
from sqcodec.nn.taps import TAPS
from sqcodec.runtime.layers import Blocks, gelu_, normalise_
from sqcodec.runtime.weights import Weights
from tests.runtime.conftest import randomise_


def test_gelu_is_that_of_the_error_function() -> None:
    x = np.concatenate([np.linspace(-12, 12, 100_001), [-1e4, -100, 0, 100, 1e4]]).astype(np.float32)
    expected = torch.nn.functional.gelu(torch.from_numpy(x).double()).numpy()
    with np.errstate(over="ignore"):
        gelu_(x, np.empty_like(x), np.empty_like(x))
    # the fit is within 7e-8; the rest is float32 rounding of an exponent of 2 to 10
    assert np.abs(x - expected).max() < 1e-6


def test_frames_are_normalised_as_by_layer_norm() -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, (50, 64)).astype(np.float32)
    expected = torch.nn.functional.layer_norm(torch.from_numpy(x), (64,), eps=1e-6).numpy()
    normalise_(x)
    assert np.abs(x - expected).max() < 2e-6  # a few roundings of values up to 4


def test_blocks_are_those_of_torch() -> None:
    """With every look-ahead, on more frames than go through at once, and on fewer than a filter has taps."""
    module = convnext.Blocks(dim=32, hidden=48, ahead=[3, 1, 0, 2])
    randomise_(module, 3)
    weights = Weights({name: value.numpy() for name, value in module.state_dict().items()})
    blocks = Blocks(weights, dim=32, hidden=48, ahead=[3, 1, 0, 2])
    assert (blocks.ahead, blocks.behind) == (module.ahead, module.behind)
    for frames in (1, 2, TAPS, 300):
        x = np.random.default_rng(frames).normal(size=(frames, 32)).astype(np.float32)
        with torch.inference_mode():
            expected = module(torch.from_numpy(x)[None])[0].numpy()
        assert np.abs(blocks(x) - expected).max() < 1e-5  # values up to 10, and sums of 48 products
