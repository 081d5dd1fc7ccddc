"""The search against that of torch."""

import numpy as np
import pytest
import torch

from sqcodec.quantizers.build import build_quantizer
from sqcodec.recipe import load_recipe
from sqcodec.runtime.search import dequantise, search


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_codes_are_those_of_torch(stages: int) -> None:
    torch.manual_seed(0)
    quantizer = build_quantizer(
        load_recipe("speech16k", ("quantizer.stages=5", "quantizer.codewords=64", "quantizer.dim=12")).codec.quantizer
    )
    z = torch.randn(1, 1000, 12)
    expected = quantizer.encode(z, stages)[0].numpy()
    codebook = quantizer.codebook.detach().numpy()
    codes = search(z[0].numpy(), codebook[:stages])
    assert (codes.dtype, codes.shape) == (np.uint16, (stages, 1000))
    assert (codes != expected).sum() == 0  # no two sums are equally near here
    sums = quantizer.decode(torch.from_numpy(codes.astype(np.int64))[None])[0].detach().numpy()
    assert np.abs(dequantise(codes, codebook) - sums).max() < 1e-6


def test_the_first_of_equal_codewords_is_taken() -> None:
    codebook = np.zeros((2, 8, 3), np.float32)
    assert not search(np.ones((4, 3), np.float32), codebook).any()


def test_fewer_codewords_than_sums_that_are_kept() -> None:
    codebook = np.array([[[-1.0], [1.0]], [[-0.25], [0.25]]], np.float32)
    z = np.array([[-1.2], [-0.8], [0.9], [1.3]], np.float32)
    assert search(z, codebook).tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
