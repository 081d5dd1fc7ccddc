"""FSQ against the float64 reference."""

import numpy as np
import pytest
import torch

from sqcodec.errors import RecipeError
from sqcodec.quantizers.fsq import FsqQuantizer
from sqcodec.recipe import load_recipe
from sqcodec.recipe.quantizer_section import FsqConfig
from tests import reference

LEVELS = [(8, 5, 5, 5), (2,), (3, 4), (7, 7, 2)]


@pytest.mark.parametrize("levels", LEVELS)
def test_values_and_codes_are_those_of_the_paper(levels):
    torch.manual_seed(0)
    quantizer, encoded = FsqQuantizer(FsqConfig(levels=levels)).eval(), 2 * torch.randn(4, 100, len(levels))
    _, codewords, codes = reference.fsq(encoded.double().numpy().reshape(400, -1), levels)
    out = quantizer(encoded, 1.0)
    assert (out.codes.flatten().numpy() == codes).mean() > 0.99  # where tanh in float32 rounds across a half
    right = out.codes.flatten().numpy() == codes
    # a quotient of small integers: float32 rounds it once
    np.testing.assert_allclose(out.z_q.reshape(400, -1).numpy()[right], codewords[right], rtol=0, atol=6e-8)
    assert out.entropy.abs().max() == out.quadratic.abs().max() == 0


@pytest.mark.parametrize("levels", LEVELS)
def test_gradients_go_straight_through_the_rounding(levels):
    torch.manual_seed(1)
    quantizer, encoded = FsqQuantizer(FsqConfig(levels=levels)), torch.randn(2, 6, len(levels)).requires_grad_()
    out = quantizer(encoded, 1.0)
    weight = torch.randn_like(out.z_q)
    (out.z_q * weight).sum().backward()
    torch.testing.assert_close(out.z_q, quantizer.decode(out.codes))
    z, w = encoded.detach().double().numpy().reshape(12, -1), weight.double().numpy().reshape(12, -1)
    expected = reference.gradient(lambda x: (reference.fsq(x, levels)[0] * w).sum(), z)
    # central differences of step 1e-6 in float64 err by 1e-8; float32 rounds a product of order 1 a few times
    np.testing.assert_allclose(encoded.grad.numpy().reshape(12, -1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("levels", LEVELS)
def test_every_codeword_can_be_reached_and_is_decoded_from_its_code(levels):
    quantizer = FsqQuantizer(FsqConfig(levels=levels))
    assert quantizer.effective_codebook.shape == (np.prod(levels), len(levels)) == (quantizer.codewords, quantizer.dim)
    assert len(torch.unique(quantizer.codebook, dim=0)) == quantizer.codewords
    half = (torch.tensor(levels) - 1) * 0.999 / 2
    offset = 0.5 * (torch.tensor(levels) % 2 == 0)
    inside = quantizer.codebook * (torch.tensor(levels) // 2)
    inside = inside.maximum(-half - offset + 1e-4).minimum(half - offset - 1e-4)  # what tanh can give
    z = torch.atanh((inside + offset) / half) - torch.tan(offset / half)
    assert torch.equal(quantizer.encode(z[None])[0, 0], torch.arange(quantizer.codewords))


def test_levels_beyond_16_bits_are_refused():
    with pytest.raises(RecipeError, match="levels must multiply to at most 65536 codewords, got 65792"):
        load_recipe("tiny", ("quantizer={kind: fsq, levels: [257, 256]}",))
    with pytest.raises(RecipeError, match="greater than or equal to 2"):
        load_recipe("tiny", ("quantizer={kind: fsq, levels: [8, 1]}",))
