"""What must hold for every quantiser that a recipe can ask for."""

import math
from typing import get_args

import numpy as np
import pytest
import torch

from sqcodec.quantizers.build import QUANTIZERS, build_quantizer
from sqcodec.quantizers.gaussian import GaussianQuantizer
from sqcodec.recipe import load_recipe
from sqcodec.recipe.quantizer_section import QuantizerConfig

EMA = "kind: vq-ema, commitment: 0.25, decay: 0.9, epsilon: 1.0e-5, weighting: sums, initialisation: data"
KINDS = {
    **{f"sq-{v}": f"kind: gaussian, variance: {v}, initial_variance: 10.0" for v in ("fixed", "I", "II", "III", "IV")},
    "vmf": "kind: vmf, initial_concentration: 2.0",
    "vq": "kind: vq, commitment: 0.25, weighting: sums, initialisation: uniform",
    "vq-ema": f"{EMA}, reset_below: 0.0",
    "vq-ema-reset": f"{EMA}, reset_below: 0.1",
}
KINDS["residual"] = (
    "kind: residual, stages: 3, initial_variance: 4.0, ratio: 0.25, dropout: 0.5, warmup_steps: 0, freeze_step: null"
)
KINDS["fsq"] = "kind: fsq"  # its levels are its sizes
STOCHASTIC = [name for name in KINDS if name.startswith(("sq", "vmf"))]


def test_every_section_has_its_quantiser():
    assert set(QUANTIZERS) == set(get_args(QuantizerConfig))


def make(name, *, codewords=64, dim=8, seed=0):
    sizes = f"codewords: {codewords}, dim: {dim}"
    if name == "fsq":
        sizes = f"levels: {[8] * round(math.log(codewords, 8))}"
    section = f"quantizer={{{KINDS[name]}, {sizes}}}"
    torch.manual_seed(seed)
    return build_quantizer(load_recipe("tiny", (section,)).quantizer)


def encoded_for(quantizer, batch=3, frames=10, scale=2.0):
    return scale * torch.randn(batch, frames, quantizer.channels)


@pytest.fixture(params=list(KINDS))
def name(request):
    return request.param


def test_one_by_one_equals_the_batch(name):
    quantizer = make(name).eval()
    encoded = encoded_for(quantizer, batch=6)
    whole = quantizer(encoded, temperature=1.0)
    for index in range(6):
        single = quantizer(encoded[index : index + 1], temperature=1.0)
        assert torch.equal(single.codes[0], whole.codes[index])
        assert torch.equal(quantizer.encode(encoded[index : index + 1])[0], whole.codes[index])
        torch.testing.assert_close(single.entropy[0], whole.entropy[index])
        torch.testing.assert_close(single.quadratic[0], whole.quadratic[index])


def test_padding_adds_nothing(name):
    quantizer = make(name).eval()
    short = encoded_for(quantizer, batch=1, frames=7)
    padded = torch.cat([short, 50 * torch.randn(1, 5, quantizer.channels)], dim=1)
    alone, inside = quantizer(short, 1.0), quantizer(padded, 1.0, valid=(torch.arange(12) < 7)[None])
    assert torch.equal(alone.codes, inside.codes[..., :7])
    torch.testing.assert_close(alone.entropy, inside.entropy)
    torch.testing.assert_close(alone.quadratic, inside.quadratic)


def test_outside_of_training_the_decoder_receives_the_codewords(name):
    quantizer = make(name).eval()
    encoded = encoded_for(quantizer)
    out = quantizer(encoded, temperature=1.0)
    assert out.codes.shape == (3, quantizer.codebooks, 10)
    assert torch.equal(out.codes, quantizer.encode(encoded))
    assert torch.equal(out.z_q, quantizer.decode(out.codes))


@pytest.mark.parametrize("name", [name for name in KINDS if name != "fsq"])  # which bounds latents, not codewords
def test_a_codeword_is_its_own_code(name):
    quantizer = make(name).eval()
    every = torch.arange(64)[None, None]
    encoded = torch.zeros(1, 64, quantizer.channels)
    encoded[0, :, :8] = quantizer.decode(every)[0].detach()
    assert torch.equal(quantizer.encode(encoded, codebooks=1), every)  # a residual quantiser's first stage


def test_state_goes_round_trip(name, tmp_path):
    quantizer, other = make(name), make(name, seed=9)
    quantizer(encoded_for(quantizer), 1.0)  # a moving average has moved
    torch.save(quantizer.state_dict(), tmp_path / "q.pt")
    other.load_state_dict(torch.load(tmp_path / "q.pt", weights_only=True))
    encoded = encoded_for(quantizer)
    assert torch.equal(quantizer.encode(encoded), other.encode(encoded))
    assert torch.equal(quantizer.eval()(encoded, 1.0).quadratic, other.eval()(encoded, 1.0).quadratic)


def test_autocast_leaves_it_in_float32(name):
    quantizer = make(name, codewords=512, dim=64).eval()
    encoded = encoded_for(quantizer)
    with torch.autocast("cpu", torch.bfloat16):
        inside = quantizer(encoded, temperature=1.0)
    outside = quantizer(encoded, temperature=1.0)
    assert inside.z_q.dtype == torch.float32
    assert torch.equal(inside.codes, outside.codes)
    assert torch.equal(inside.entropy, outside.entropy)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_latents_of_any_size_stay_finite(name, scale):
    quantizer = make(name)
    encoded = encoded_for(quantizer, scale=scale).requires_grad_()
    out = quantizer(encoded, temperature=1e-3)
    (out.quadratic.mean() - out.entropy.mean() + out.z_q.sum()).backward()
    for value in (out.z_q, out.quadratic, out.entropy, encoded.grad, quantizer.codebook):
        assert torch.isfinite(value).all()


def test_nothing_of_size_n_v_d_exists(name):
    # the largest tensor of a training pass may have N V elements, not N V D
    quantizer, sizes = make(name, codewords=64, dim=32), []
    encoded = encoded_for(quantizer, batch=4, frames=16).requires_grad_()

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.extend(t.numel() for t in torch.utils._pytree.tree_leaves(out) if isinstance(t, torch.Tensor))
            return out

    with Sizes():
        out = quantizer(encoded, temperature=1.0)
        (out.z_q.sum() + out.quadratic.sum() - out.entropy.sum()).backward()
    assert max(sizes) <= max(4 * 16 * 64, quantizer.codebooks * 4 * 16 * 32)  # N V, and K N D of a residual one


@pytest.mark.parametrize("name", [name for name in KINDS if name != "sq-II"])  # whose variance is a mean over time
def test_terms_are_sums_over_time_and_dimensions(name):
    # averages over time, dimensions or codewords make the codebook collapse; pin the reduction
    quantizer = make(name).eval()
    encoded = encoded_for(quantizer, batch=1, frames=12)
    whole = quantizer(encoded, temperature=1.0)
    parts = [quantizer(encoded[:, t : t + 1], temperature=1.0) for t in range(12)]
    torch.testing.assert_close(whole.quadratic, torch.stack([part.quadratic for part in parts]).sum(0))
    torch.testing.assert_close(whole.entropy, torch.stack([part.entropy for part in parts]).sum(0))


@pytest.mark.parametrize("name", STOCHASTIC)
def test_drawn_codes_follow_the_probabilities(name):
    quantizer = make(name, codewords=8, dim=2).eval()
    one = encoded_for(quantizer, batch=1, frames=1)
    drawn = quantizer.draw(one.expand(1, 20000, -1), torch.Generator().manual_seed(0))
    latents = quantizer.latents(one, None)
    z = latents.z
    if isinstance(quantizer, GaussianQuantizer):  # Z ~ N(z, Sigma) comes first: the mean over 200000 of them
        noise = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1))
        z = z + noise * latents.precision.rsqrt()
    expected = torch.softmax(quantizer.logits(z, latents.precision.expand(len(z), -1)), -1).mean(0)
    frequency = torch.bincount(drawn.codes.flatten(), minlength=8) / 20000
    # 4 standard deviations of a frequency of 20000 draws are below 0.0142, of a mean of 200000 below 0.0045
    torch.testing.assert_close(frequency, expected, rtol=0, atol=0.015)
    assert torch.equal(drawn.z_q, quantizer.decode(drawn.codes))


@pytest.mark.parametrize("name", ["vq", "vq-ema", "vq-ema-reset", "fsq"])
def test_the_posterior_is_one_codeword(name):
    quantizer = make(name).eval()
    encoded = encoded_for(quantizer)
    out = quantizer.draw(encoded)
    assert torch.equal(out.codes, quantizer.encode(encoded))
    assert out.entropy.abs().max() == out.quadratic.abs().max() == 0


def test_uniform_probabilities_have_the_highest_entropy():
    quantizer = make("sq-I", codewords=16, dim=4)
    with torch.no_grad():
        quantizer.log_var_scalar.fill_(100.0)  # clamped to 14: probabilities all but uniform
    out = quantizer(torch.zeros(2, 5, 4), temperature=1.0)
    torch.testing.assert_close(out.entropy, torch.full((2,), 5 * math.log(16.0)))


def test_the_plain_vae_is_that_of_the_equations():
    quantizer = build_quantizer(load_recipe("tiny", ("quantizer={kind: none, dim: 4}",)).quantizer)
    torch.manual_seed(0)
    encoded = encoded_for(quantizer).requires_grad_()
    out = quantizer(encoded, 1.0, torch.Generator().manual_seed(1))
    mean, log_var = np.split(encoded.detach().double().numpy(), 2, axis=-1)
    divergence = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum((1, 2))
    # float32 sums of 40 terms of order 10
    np.testing.assert_allclose((out.quadratic - out.entropy).detach().numpy(), divergence, rtol=1e-5)
    (out.quadratic - out.entropy).sum().backward()
    gradient = np.concatenate([mean, 0.5 * (np.exp(log_var) - 1)], axis=-1)
    np.testing.assert_allclose(encoded.grad.numpy(), gradient, rtol=1e-4, atol=1e-5)
    noise = (out.z_q.detach().double().numpy() - mean) / np.exp(log_var / 2)
    again = quantizer(encoded, 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(out.z_q, again.z_q)
    assert abs(noise.mean()) < 0.5  # 120 standard normals: 5 standard deviations of their mean are 0.46
    assert torch.equal(quantizer.eval()(encoded, 1.0).z_q, encoded[..., :4])
    assert quantizer.encode(encoded).shape == (3, 0, 10)


@pytest.mark.parametrize("one", [name for name in KINDS if name != "residual"])
def test_what_measures_codewords_has_the_nearest_where_encode_has_it(one):
    quantizer = make(one).eval()
    encoded = encoded_for(quantizer)
    z, weights = quantizer.measured(encoded)
    assert z.shape == (3, 10, quantizer.dim)
    costs = (weights[:, :, None] * (z[:, :, None] - quantizer.effective_codebook).square()).sum(-1)
    assert torch.equal(costs.argmin(-1), quantizer.encode(encoded)[:, 0])


@pytest.mark.parametrize("one", STOCHASTIC)
def test_differences_of_costs_are_those_of_log_probabilities(one):
    """So the price of a bit is in nats. 1e-3: float32's rounding of distances below 1000, and of their difference."""
    quantizer = make(one).eval()
    encoded = encoded_for(quantizer, batch=1)
    z, weights = quantizer.measured(encoded)
    costs = (weights[0, :, None] * (z[0, :, None] - quantizer.effective_codebook).square()).sum(-1)
    latents = quantizer.latents(encoded, None)
    log_p = torch.log_softmax(quantizer.logits(latents.z, latents.precision), -1)
    torch.testing.assert_close(costs - costs[:, :1], log_p[:, :1] - log_p, rtol=1e-4, atol=1e-3)
