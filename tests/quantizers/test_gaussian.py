"""Gaussian SQ against the float64 reference: values, gradients, codes, and what must hold for every variant."""

import numpy as np
import pytest
import torch

from sqcodec.quantizers.gaussian import GaussianQuantizer, gaussian_logits, gumbel_softmax
from tests import reference

VARIANTS = ["I", "III", "IV"]


def make(variance, *, codewords=16, dim=4, seed=0):
    torch.manual_seed(seed)
    return GaussianQuantizer(variance=variance, codewords=codewords, dim=dim, initial_variance=10.0)


def encoded_for(quantizer, batch=3, frames=5, scale=2.0):
    return scale * torch.randn(batch, frames, quantizer.channels)


def as_reference(quantizer, encoded):
    flat = encoded.detach().double().numpy().reshape(-1, encoded.shape[-1])
    scalar = quantizer.log_var_scalar.item()
    z, precision = reference.precision_of(flat, scalar, quantizer.variance, quantizer.dim)
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
    p = {"I": p[:1, :1], "III": p[:, :1], "IV": p}[variance]
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

    def loss(flat, scalar, codebook):
        z, precision = reference.precision_of(flat, scalar, variance, 4)
        quadratic, entropy = reference.regulariser(z, precision, codebook, gumbel, 0.7)
        return quadratic - entropy

    flat = encoded.detach().double().numpy().reshape(15, -1)
    codebook, scalar = quantizer.codebook.detach().double().numpy(), np.array(quantizer.log_var_scalar.item())
    z, precision = reference.precision_of(flat, float(scalar), variance, 4)
    quadratic, entropy = reference.regulariser(z, precision, codebook, gumbel, 0.7)
    # sums of 15 latents in float32: relative rounding 2^-24 times a few hundred operations
    assert out.quadratic.sum().item() == pytest.approx(quadratic, rel=3e-5)
    assert out.entropy.sum().item() == pytest.approx(entropy, rel=3e-5)
    wanted = [
        (encoded.grad.reshape(15, -1), reference.gradient(lambda x: loss(x, float(scalar), codebook), flat)),
        (quantizer.codebook.grad, reference.gradient(lambda x: loss(flat, float(scalar), x), codebook)),
        (quantizer.log_var_scalar.grad, reference.gradient(lambda x: loss(flat, float(x), codebook), scalar)),
    ]
    for got, expected in wanted:
        # central differences of step 1e-6 in float64 err by 1e-8; float32 rounds sums of up to 240 terms of order 1
        np.testing.assert_allclose(got.numpy(), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("variance", VARIANTS)
def test_codes_are_the_nearest_codewords(variance):
    quantizer = make(variance, codewords=512, dim=64).eval()
    encoded = encoded_for(quantizer, batch=4, frames=100)
    z, precision, codebook = as_reference(quantizer, encoded)
    codes = quantizer.encode(encoded)
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
def test_a_codeword_is_its_own_code(variance):
    quantizer = make(variance, codewords=64, dim=8).eval()
    encoded = torch.zeros(1, 64, quantizer.channels)
    encoded[0, :, :8] = quantizer.codebook.detach()
    codes = quantizer.encode(encoded)
    assert torch.equal(codes, torch.arange(64)[None])
    assert torch.equal(quantizer.decode(codes)[0], quantizer.codebook)


@pytest.mark.parametrize("variance", VARIANTS)
def test_one_by_one_equals_the_batch(variance):
    quantizer = make(variance).eval()
    encoded = encoded_for(quantizer, batch=6)
    whole = quantizer(encoded, temperature=1.0)
    for index in range(6):
        single = quantizer(encoded[index : index + 1], temperature=1.0)
        assert torch.equal(single.codes[0], whole.codes[index])
        torch.testing.assert_close(single.entropy[0], whole.entropy[index])
        torch.testing.assert_close(single.quadratic[0], whole.quadratic[index])


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


def test_soft_samples_follow_the_probabilities():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).expand(20000, 4).contiguous()
    weights = gumbel_softmax(logits, 0.1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(weights.sum(-1), torch.ones(20000))
    share = torch.bincount(weights.argmax(-1), minlength=4) / 20000
    # Gumbel-max draws exactly from the distribution; 4 standard deviations of a share of 20000 draws are below 0.015
    torch.testing.assert_close(share, logits[0].exp(), rtol=0, atol=0.015)


@pytest.mark.parametrize("variance", VARIANTS)
def test_autocast_leaves_the_quantiser_in_float32(variance):
    quantizer = make(variance, codewords=512, dim=64).eval()
    encoded = encoded_for(quantizer)
    with torch.autocast("cpu", torch.bfloat16):
        inside = quantizer(encoded, temperature=1.0)
    outside = quantizer(encoded, temperature=1.0)
    assert torch.equal(inside.codes, outside.codes)
    assert torch.equal(inside.entropy, outside.entropy)


@pytest.mark.parametrize("variance", VARIANTS)
def test_state_goes_round_trip(variance, tmp_path):
    quantizer = make(variance).eval()
    torch.save(quantizer.state_dict(), tmp_path / "q.pt")
    other = make(variance, seed=9).eval()
    other.load_state_dict(torch.load(tmp_path / "q.pt", weights_only=True))
    encoded = encoded_for(quantizer)
    assert torch.equal(quantizer.encode(encoded), other.encode(encoded))


def test_nothing_of_size_n_v_d_exists():
    # the largest tensor of a forward pass may have N V elements, not N V D
    quantizer, sizes = make("IV", codewords=64, dim=32), []
    encoded = encoded_for(quantizer, batch=4, frames=16)

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.extend(t.numel() for t in torch.utils._pytree.tree_leaves(out) if isinstance(t, torch.Tensor))
            return out

    with Sizes():
        quantizer(encoded, temperature=1.0)
    assert max(sizes) == 4 * 16 * 64
