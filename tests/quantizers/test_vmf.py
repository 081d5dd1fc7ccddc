"""Von Mises-Fisher SQ against the float64 reference."""

import numpy as np
import pytest
import torch

from sqcodec.quantizers.vmf import VmfQuantizer
from sqcodec.recipe.quantizer_section import VmfConfig
from tests import reference


def make(*, codewords=16, dim=5, concentration=6.0):
    torch.manual_seed(0)
    return VmfQuantizer(VmfConfig(codewords=codewords, dim=dim, initial_concentration=concentration))


def test_loss_terms_and_gradients_are_those_of_equation_13(monkeypatch):
    quantizer = make()
    encoded = (2 * torch.randn(3, 5, 5)).requires_grad_()
    gumbel = np.random.default_rng(1).gumbel(size=(15, 16))
    noise = torch.from_numpy(np.exp(-gumbel)).float()  # gumbel = -log(exponential)
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.copy_(noise))
    out = quantizer(encoded, temperature=0.7)
    (out.quadratic.sum() - out.entropy.sum()).backward()

    def loss(z, log_excess, codebook):
        quadratic, entropy = reference.vmf_regulariser(z, 1 + np.exp(log_excess), codebook, gumbel, 0.7)
        return quadratic - entropy

    z, codebook = encoded.detach().double().numpy().reshape(15, 5), quantizer.codebook.detach().double().numpy()
    excess = np.array(quantizer.log_excess.item())
    quadratic, entropy = reference.vmf_regulariser(z, 1 + np.exp(float(excess)), codebook, gumbel, 0.7)
    # sums of 15 latents in float32: relative rounding 2^-24 times a few hundred operations
    assert out.quadratic.sum().item() == pytest.approx(quadratic, rel=3e-5)
    assert out.entropy.sum().item() == pytest.approx(entropy, rel=3e-5)
    wanted = [
        (encoded.grad.reshape(15, 5), reference.gradient(lambda x: loss(x, float(excess), codebook), z)),
        (quantizer.codebook.grad, reference.gradient(lambda x: loss(z, float(excess), x), codebook)),
        (quantizer.log_excess.grad, reference.gradient(lambda x: loss(z, float(x), codebook), excess)),
    ]
    for got, expected in wanted:
        # central differences of step 1e-6 in float64 err by 1e-8; float32 rounds sums of up to 240 terms of order 1
        np.testing.assert_allclose(got.numpy(), expected, rtol=2e-4, atol=2e-4)


def test_codes_are_the_most_probable_codewords():
    quantizer = make(codewords=512, dim=64)
    encoded = torch.randn(4, 100, 64)
    flat, codebook = encoded.reshape(400, 64).double().numpy(), quantizer.codebook.detach().double().numpy()
    _, _, probability = reference.vmf_posterior(flat, 6.0, codebook)
    codes = quantizer.encode(encoded).flatten().numpy()
    assert (codes == probability.argmax(1)).mean() > 0.999  # near ties may round


def test_the_length_of_a_latent_does_not_matter():
    quantizer = make().eval()
    encoded = torch.randn(2, 9, 5)
    torch.testing.assert_close(quantizer(encoded, 1.0).quadratic, quantizer(100 * encoded, 1.0).quadratic)
    assert torch.equal(quantizer.encode(encoded), quantizer.encode(100 * encoded))


@pytest.mark.parametrize("log_excess", [-1e4, -30.0, 30.0, 1e4])
def test_huge_and_tiny_concentrations_stay_finite(log_excess):
    quantizer = make()
    with torch.no_grad():
        quantizer.log_excess.fill_(log_excess)
    encoded = torch.randn(2, 9, 5).requires_grad_()
    out = quantizer(encoded, temperature=1e-3)
    (out.quadratic.mean() - out.entropy.mean() + out.z_q.sum()).backward()
    for value in (out.z_q, out.quadratic, out.entropy, out.log_var, encoded.grad, quantizer.codebook.grad):
        assert torch.isfinite(value).all()
