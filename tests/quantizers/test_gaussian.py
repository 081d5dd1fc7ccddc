"""Gaussian SQ against the float64 reference: values, gradients, codes, and what must hold for every variant."""

import numpy as np
import pytest
import torch

from sqcodec.quantizers.gaussian import GaussianQuantizer, gaussian_logits
from sqcodec.recipe.quantizer_section import GaussianConfig
from tests import reference

VARIANTS = ["fixed", "I", "II", "III", "IV"]


def make(variance, *, codewords=16, dim=4, seed=0):
    torch.manual_seed(seed)
    return GaussianQuantizer(GaussianConfig(variance=variance, codewords=codewords, dim=dim, initial_variance=10.0))


def encoded_for(quantizer, batch=3, frames=5, scale=2.0):
    return scale * torch.randn(batch, frames, quantizer.channels)


def as_reference(quantizer, encoded):
    scalar = quantizer.log_var_scalar.item()
    z, precision = reference.precision_of(encoded.detach().double().numpy(), scalar, quantizer.variance, quantizer.dim)
    return z, precision, quantizer.codebook.detach().double().numpy()


@pytest.mark.parametrize("variance", VARIANTS)
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_probabilities_are_the_posterior_of_equation_7(variance, offset):
    quantizer = make(variance, codewords=512, dim=64)
    with torch.no_grad():
        quantizer.codebook += offset
    encoded = encoded_for(quantizer)
    z, precision, codebook = as_reference(quantizer, encoded)
    p = torch.tensor(precision, dtype=torch.float32)
    p = {"fixed": p[:1, :1], "I": p[:1, :1], "II": p[:, :1], "III": p[:, :1], "IV": p}[variance]
    logits = gaussian_logits(torch.from_numpy(z).float(), p, quantizer.codebook)
    got = torch.softmax(logits, -1).detach().double().numpy()
    # float32 rounding (2^-24) of distances below 1000 moves a probability by at most 1000 * 2^-24 * 2 = 1.2e-4
    assert abs(got - reference.posterior(z, precision, codebook)).max() < 1.2e-4


@pytest.mark.parametrize("variance", VARIANTS)
def test_loss_terms_and_gradients_are_those_of_equation_8(variance, monkeypatch):
    quantizer = make(variance)
    encoded = encoded_for(quantizer).requires_grad_()
    gumbel = np.random.default_rng(1).gumbel(size=(15, 16))
    noise = torch.from_numpy(np.exp(-gumbel)).float()  # gumbel = -log(exponential)
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.copy_(noise))
    out = quantizer(encoded, temperature=0.7)
    (out.quadratic.sum() - out.entropy.sum()).backward()

    def terms(x, scalar, codebook):
        z, precision = reference.precision_of(x, scalar, variance, 4)
        return reference.regulariser(z, precision, codebook, gumbel, 0.7)

    def loss(x, scalar, codebook):
        quadratic, entropy = terms(x, scalar, codebook)
        return quadratic - entropy

    x = encoded.detach().double().numpy()
    codebook, scalar = quantizer.codebook.detach().double().numpy(), np.array(quantizer.log_var_scalar.item())
    quadratic, entropy = terms(x, float(scalar), codebook)
    # sums of 15 latents in float32: relative rounding 2^-24 times a few hundred operations
    assert out.quadratic.sum().item() == pytest.approx(quadratic, rel=3e-5)
    assert out.entropy.sum().item() == pytest.approx(entropy, rel=3e-5)
    wanted = [
        (encoded.grad, reference.gradient(lambda value: loss(value, float(scalar), codebook), x)),
        (quantizer.codebook.grad, reference.gradient(lambda value: loss(x, float(scalar), value), codebook)),
    ]
    if variance != "fixed":
        by_scalar = reference.gradient(lambda value: loss(x, float(value), codebook), scalar)
        wanted.append((quantizer.log_var_scalar.grad, by_scalar))
    for got, expected in wanted:
        # central differences of step 1e-6 in float64 err by 1e-8; float32 rounds sums of up to 240 terms of order 1
        np.testing.assert_allclose(got.numpy(), expected, rtol=2e-4, atol=2e-4)


def test_a_fixed_variance_is_not_learned():
    quantizer = make("fixed")
    assert "log_var_scalar" not in dict(quantizer.named_parameters())
    assert quantizer(encoded_for(quantizer), temperature=1.0).log_var.item() == pytest.approx(np.log(10.0))


@pytest.mark.parametrize("variance", VARIANTS)
def test_padding_changes_neither_codes_nor_terms(variance):
    quantizer = make(variance, codewords=64, dim=8).eval()
    short = encoded_for(quantizer, batch=1, frames=7)
    padded = torch.cat([short, 50 * torch.randn(1, 5, quantizer.channels)], dim=1)
    valid = (torch.arange(12) < 7)[None]
    alone, inside = quantizer(short, 1.0), quantizer(padded, 1.0, valid=valid)
    assert torch.equal(alone.codes, inside.codes[..., :7])
    torch.testing.assert_close(alone.entropy, inside.entropy)
    torch.testing.assert_close(alone.quadratic, inside.quadratic)
    torch.testing.assert_close(alone.log_var, inside.log_var)


def test_an_utterance_has_one_variance_in_ii():
    quantizer = make("II")
    encoded = encoded_for(quantizer, batch=2, frames=6)
    latents = quantizer.latents(encoded, None)
    by_utterance = latents.precision.view(2, 6)
    assert torch.equal(by_utterance, by_utterance[:, :1].expand(-1, 6))
    expected = torch.exp(-(encoded[..., -1].mean(1) + np.log(10.0)))
    torch.testing.assert_close(by_utterance[:, 0], expected)


@pytest.mark.parametrize("variance", VARIANTS)
def test_codes_are_the_nearest_codewords(variance):
    quantizer = make(variance, codewords=512, dim=64).eval()
    encoded = encoded_for(quantizer, batch=4, frames=100)
    z, precision, codebook = as_reference(quantizer, encoded)
    codes = quantizer.encode(encoded)
    assert codes.shape == (4, 1, 100)
    assert (codes.flatten().numpy() == reference.nearest(z, precision, codebook)).mean() > 0.999  # near ties may round
    out = quantizer(encoded, temperature=1.0)
    assert torch.equal(out.codes, codes)
    assert torch.equal(out.z_q, quantizer.decode(codes))


def test_ties_go_to_the_lowest_index():
    quantizer = make("I", codewords=4, dim=2)
    with torch.no_grad():
        quantizer.codebook.copy_(torch.tensor([[9.0, 9.0], [1.0, 0.0], [1.0, 0.0], [-9.0, 9.0]]))
    assert quantizer.encode(torch.tensor([[[1.0, 0.0]]])).item() == 1


@pytest.mark.parametrize("variance", VARIANTS)
@pytest.mark.parametrize("log_var", [-1e4, -80.0, 80.0, 1e4])
def test_huge_and_tiny_variances_stay_finite(variance, log_var):
    quantizer = make(variance)
    with torch.no_grad():
        quantizer.log_var_scalar.fill_(log_var)
    encoded = encoded_for(quantizer, scale=10.0).requires_grad_()
    out = quantizer(encoded, temperature=1e-3)
    (out.quadratic.mean() - out.entropy.mean() + out.z_q.sum()).backward()
    for value in (out.z_q, out.quadratic, out.entropy, out.log_var, encoded.grad, quantizer.codebook.grad):
        assert torch.isfinite(value).all()


def test_terms_are_sums_not_means():
    # averaging the entropy over codewords or positions makes the codebook collapse; pin the reduction
    quantizer = make("I")
    with torch.no_grad():
        quantizer.log_var_scalar.fill_(100.0)  # clamped to 14: probabilities all but uniform
    out = quantizer(torch.zeros(2, 5, 4), temperature=1.0)
    torch.testing.assert_close(out.entropy, torch.full((2,), 5 * np.log(16.0), dtype=torch.float32))


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_the_bound_s_terms_are_those_of_numerical_integration(spread: float) -> None:
    """One dimension, three codewords: quadratic - entropy on average over Z ~ N(z, variance), in float64."""
    config = GaussianConfig(variance="fixed", codewords=3, dim=1, initial_variance=spread**2)
    quantizer = GaussianQuantizer(config)
    words, z, frames = np.array([-1.0, 0.5, 2.0]), 0.4, 200_000
    with torch.no_grad():
        quantizer.codebook.copy_(torch.tensor(words[:, None]))
        drawn = quantizer.draw(torch.full((1, frames, 1), z), torch.Generator().manual_seed(2))
    got = ((drawn.quadratic - drawn.entropy) / frames).item()
    grid = np.linspace(z - 10 * spread, z + 10 * spread, 200_001)
    density = np.exp(-0.5 * ((grid - z) / spread) ** 2) / (spread * np.sqrt(2 * np.pi)) * (grid[1] - grid[0])
    distance = 0.5 * ((grid[:, None] - words) / spread) ** 2
    share = np.exp(-distance) / np.exp(-distance).sum(1, keepdims=True)
    entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(1)
    expected = (density * ((share * distance).sum(1) - entropy - 0.5)).sum()
    # four standard errors of a mean of 200,000: the terms' standard deviation is below 8
    assert got == pytest.approx(expected, abs=4 * 8 / frames**0.5)


@pytest.mark.parametrize("spread", [1, 6, 12])
def test_codes_know_no_limit_of_the_variance(spread: int) -> None:
    """An imported model's log variances may leave +-14, where training clamps: 7.5 % of codes differed at 6."""
    quantizer = make("IV", codewords=64, dim=8)
    encoded = encoded_for(quantizer, batch=2, frames=400)
    encoded[..., 8:] *= spread / 2
    z = encoded[..., :8].double().numpy().reshape(-1, 8)
    log_var = encoded[..., 8:].double().numpy().reshape(-1, 8) + quantizer.log_var_scalar.item()
    weighed = (
        np.exp(log_var.min(1, keepdims=True) - log_var)[:, None]
        * (z[:, None] - quantizer.codebook.detach().double().numpy()) ** 2
    )
    expected = weighed.sum(-1)
    ordered = np.sort(expected, axis=1)
    clear = ordered[:, 1] > ordered[:, 0] * (1 + 1e-4)  # float32 rounding of sums that cancel
    assert clear.mean() > 0.95
    got = quantizer.encode(encoded)[:, 0].flatten().numpy()
    assert (got == expected.argmin(1))[clear].mean() > 0.998
