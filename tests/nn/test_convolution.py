"""Filtered convolutions against the float64 reference: values and gradients, and where none is filtered."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv1d

from sqcodec.nn.batch_norm import BatchNorm
from sqcodec.nn.convolution import Convolution
from tests import reference

GEOMETRIES = [(3, 1, 0), (3, 1, 1), (4, 2, 1), (2, 1, 0), (6, 2, 2)]  # kernel, stride, padding


def case(kernel, stride, padding, dtype=torch.float32, *, frames=32, inputs=3):
    torch.manual_seed(0)
    convolution = Convolution(inputs, 7, kernel, stride=stride, padding=padding).train().to(dtype)
    return convolution, torch.randn(2, inputs, frames, dtype=dtype, requires_grad=True)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("frames", [6, 32, 33])  # tiles that are whole, and that are not
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        (torch.float64, 1e-13),
        (torch.float32, 1e-5),
    ],  # of the largest value: 2^-24, sums of 18 terms, transforms up to 16
)
def test_values_and_gradients_are_those_of_a_convolution(geometry, frames, dtype, tolerance):
    convolution, x = case(*geometry, dtype, frames=frames)
    y = convolution(x)
    g = torch.randn_like(y)
    of_x, of_w = torch.autograd.grad(y, (x, convolution.weight), g)
    x, w, g = (values.detach().double().numpy() for values in (x, convolution.weight, g))
    expected = reference.convolution(x, w, *geometry[1:])
    along_x = reference.convolution(x, np.eye(w[0].size).reshape(-1, *w.shape[1:]), *geometry[1:])  # [B, C K, T']
    for got, right in (
        (y, expected),
        (of_w, np.einsum("bot,bpt->op", g, along_x).reshape(w.shape)),
        (of_x, reference.gradient(lambda x: (reference.convolution(x, w, *geometry[1:]) * g).sum(), x, step=1.0)),
    ):
        assert abs(got.detach().double().numpy() - right).max() < tolerance * max(abs(right).max(), 1.0)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_inference_and_bfloat16_are_those_of_torch_bit_for_bit(geometry):
    convolution, x = case(*geometry)
    expected = conv1d(x, convolution.weight, stride=geometry[1], padding=geometry[2])
    assert torch.equal(convolution.eval()(x), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(
            convolution.train()(x), conv1d(x, convolution.weight, stride=geometry[1], padding=geometry[2])
        )
    assert not torch.equal(convolution(x), expected)  # rounded otherwise: this one was filtered


def test_batch_norm_of_what_was_filtered_is_that_of_a_copy():
    convolution, x = case(3, 1, 1)
    filtered = convolution(x).detach()
    assert not filtered.is_contiguous()
    ours, torchs = BatchNorm(7).train(), nn.BatchNorm1d(7).train()
    normed = ours(filtered)
    assert normed.stride() == filtered.stride()
    # float32 sums of 64 values of size 1, in another order
    torch.testing.assert_close(normed, torchs(filtered.contiguous()), rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict(), rtol=0, atol=1e-6)
