"""Residual SQ against the float64 reference."""

import itertools

import numpy as np
import pytest
import torch

from sqcodec.quantizers.gaussian import nearest
from sqcodec.quantizers.residual import ResidualQuantizer
from sqcodec.recipe.quantizer_section import GaussianConfig, ResidualConfig
from tests import reference


def make(*, stages=3, codewords=12, dim=4, dropout=0.0, warmup_steps=0, freeze_step=None):
    torch.manual_seed(0)
    config = ResidualConfig(
        stages=stages, codewords=codewords, dim=dim, initial_variance=3.0, ratio=0.25, dropout=dropout,
        warmup_steps=warmup_steps, freeze_step=freeze_step,
    )  # fmt: skip
    return ResidualQuantizer(config)


def parameters(quantizer):
    return quantizer.codebook.detach().double().numpy(), quantizer.log_var.detach().double().numpy()


@pytest.mark.parametrize("in_use", [[3, 3, 3, 3], [1, 2, 3, 3]])
def test_loss_terms_and_gradients_are_those_of_the_reference(monkeypatch, in_use):
    quantizer = make(dropout=0.5)
    encoded = (2 * torch.randn(4, 5, 4)).requires_grad_()
    gumbels = np.random.default_rng(1).gumbel(size=(3, 20, 12))
    noises = iter(torch.from_numpy(np.exp(-gumbels)).float())  # gumbel = -log(exponential)
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.copy_(next(noises)))
    monkeypatch.setattr(quantizer, "_stages_in_use", lambda encoded, generator: torch.tensor(in_use))
    out = quantizer(encoded, temperature=0.7)
    (out.quadratic.sum() - out.entropy.sum()).backward()
    frames = np.repeat(in_use, 5)

    def terms(z, codebooks, log_var):
        return reference.residual_regulariser(z, codebooks, np.exp(log_var), gumbels, 0.7, frames)

    def loss(*arguments):
        quadratic, entropy = terms(*arguments)
        return quadratic - entropy

    z, (codebooks, log_var) = encoded.detach().double().numpy().reshape(20, 4), parameters(quantizer)
    quadratic, entropy = terms(z, codebooks, log_var)
    # sums of 20 latents in float32: relative rounding 2^-24 times a few hundred operations
    assert out.quadratic.sum().item() == pytest.approx(quadratic, rel=3e-5)
    assert out.entropy.sum().item() == pytest.approx(entropy, rel=3e-5)
    wanted = [
        (encoded.grad.reshape(20, 4), reference.gradient(lambda x: loss(x, codebooks, log_var), z)),
        (quantizer.codebook.grad, reference.gradient(lambda x: loss(z, x, log_var), codebooks)),
        (quantizer.log_var.grad, reference.gradient(lambda x: loss(z, codebooks, x), log_var)),
    ]
    for got, expected in wanted:
        # central differences of step 1e-6 in float64 err by 1e-8; float32 rounds sums of up to 240 terms of order 1,
        # three times over, since a stage works on what the former one rounded
        np.testing.assert_allclose(got.numpy(), expected, rtol=6e-4, atol=6e-4)


@pytest.mark.parametrize("kept", [1, 4, 12])
@pytest.mark.parametrize("codebooks", [1, 2, 3])
def test_codes_are_those_of_the_reference_search(monkeypatch, codebooks, kept):
    monkeypatch.setattr("sqcodec.quantizers.residual._KEPT", kept)
    quantizer = make()
    encoded = torch.randn(2, 50, 4)
    got = quantizer.encode(encoded, codebooks).transpose(1, 2).reshape(100, codebooks).numpy()
    books, _ = parameters(quantizer)
    expected = reference.m_best(encoded.double().numpy().reshape(100, 4), books[:codebooks], kept)
    assert (got == expected).all(1).mean() > 0.97  # near ties may round
    assert torch.equal(quantizer.encode(encoded), quantizer.encode(encoded, 3))


def test_search_comes_nearer_than_stage_by_stage(monkeypatch):
    quantizer = make(codewords=64, dim=8)
    encoded = torch.randn(4, 100, 8)

    def error():
        return (quantizer.decode(quantizer.encode(encoded)) - encoded).square().mean().item()

    searched = error()
    monkeypatch.setattr("sqcodec.quantizers.residual._KEPT", 1)
    assert searched < 0.97 * error()


def test_every_prefix_decodes_and_more_stages_come_nearer():
    quantizer = make(codewords=256, dim=4).eval()
    encoded = torch.randn(4, 100, 4)
    codes = quantizer.encode(encoded)
    errors = [(quantizer.decode(codes[:, :stages]) - encoded).square().mean().item() for stages in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert torch.equal(quantizer(encoded, 1.0).z_q, quantizer.decode(codes))


def test_dropout_drops_stages_for_its_fraction_of_the_batch():
    quantizer = make(dropout=0.5)
    encoded = torch.randn(400, 2, 4)
    in_use = quantizer._stages_in_use(encoded, torch.Generator().manual_seed(0))
    assert (in_use[200:] == 3).all()
    counts = torch.bincount(in_use[:200], minlength=4)
    assert counts[0] == 0
    assert counts[1:].min() > 40  # 200 draws of three alike: 67 each, standard deviation 6.7
    assert (quantizer._stages_in_use(encoded, torch.Generator().manual_seed(1)) != in_use).any()
    out = quantizer(encoded, 1.0, torch.Generator().manual_seed(0))
    assert torch.isfinite(out.quadratic).all()


def test_one_stage_is_variant_i():
    from sqcodec.quantizers.gaussian import GaussianQuantizer

    quantizer = make(stages=1)
    plain = GaussianQuantizer(GaussianConfig(variance="I", codewords=12, dim=4, initial_variance=3.0))
    with torch.no_grad():
        plain.codebook.copy_(quantizer.codebook[0])
    encoded = torch.randn(3, 7, 4)
    got, expected = (model(encoded, 0.7, torch.Generator().manual_seed(2)) for model in (quantizer, plain))
    torch.testing.assert_close(got.z_q, expected.z_q)
    torch.testing.assert_close(got.quadratic, expected.quadratic)
    torch.testing.assert_close(got.entropy, expected.entropy)
    assert torch.equal(got.codes, expected.codes)


def test_in_the_vae_warmup_latents_pass_with_unit_noise():
    quantizer = make().train()
    quantizer.vae_warmup = True
    encoded = 3 * torch.randn(8, 400, 4)
    out = quantizer(encoded, 1.0, torch.Generator().manual_seed(3))
    noise = out.z_q - encoded
    # 12,800 standard normal numbers: their mean has deviation 0.009, their variance 0.0125
    assert abs(noise.mean().item()) < 0.045
    assert abs(noise.var().item() - 1.0) < 0.063
    torch.testing.assert_close(out.quadratic, 0.5 * encoded.square().sum((1, 2)))
    assert not out.entropy.any()
    assert torch.equal(quantizer.eval()(encoded, 1.0).z_q, quantizer.decode(quantizer.encode(encoded)))


def test_once_frozen_the_codewords_of_inference_pass_without_gradient():
    quantizer = make(dropout=1.0).train()
    quantizer.frozen = True
    encoded = torch.randn(6, 10, 4).requires_grad_()
    out = quantizer(encoded, 1.0, torch.Generator().manual_seed(3))
    in_use = quantizer._stages_in_use(encoded, torch.Generator().manual_seed(3))
    assert in_use.min() < in_use.max()
    for row, stages in enumerate(in_use.tolist()):
        wanted = quantizer.decode(quantizer.encode(encoded[row : row + 1], stages))[0]
        torch.testing.assert_close(out.z_q[row], wanted)
    assert not out.z_q.requires_grad
    assert not out.quadratic.requires_grad


def test_codebooks_start_from_the_latents():
    quantizer = make(stages=2, codewords=5)
    z = 7.0 + torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    quantizer.initialise_(z, torch.Generator().manual_seed(4))
    first, second = quantizer.codebook.detach()
    assert (first.mean(0) - 7.0).abs().max() < 0.6  # five codewords of latents of deviation 1
    left = z - first[nearest(z, first)]
    assert left.square().mean() < 0.8  # of 1
    assert quantizer.log_var[0].exp().item() == pytest.approx(left.square().mean().item(), rel=1e-5)
    again = left - second[nearest(left, second)]
    assert quantizer.log_var[1].exp().item() == pytest.approx(again.square().mean().item(), rel=1e-5)
    assert quantizer.log_var[1] < quantizer.log_var[0]


def test_refitted_to_one_stage_codewords_are_the_means_of_their_latents(monkeypatch):
    monkeypatch.setattr("sqcodec.quantizers.residual._ROUNDS", 1)
    quantizer = make(stages=1)
    z = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    former, codes = quantizer.codebook[0].detach().clone(), nearest(z, quantizer.codebook[0])
    quantizer.refit_(z)
    for code in range(12):
        own = z[codes == code]
        wanted = (own.sum(0) + 0.3 * former[code]) / (len(own) + 0.3)
        # float32 solution of 12 equations that hardly mix
        torch.testing.assert_close(quantizer.codebook[0, code].detach(), wanted, rtol=1e-4, atol=1e-4)


def test_latents_that_are_all_alike_leave_finite_codewords():
    quantizer = make()
    alike = torch.ones(200, 4)
    quantizer.initialise_(alike, torch.Generator().manual_seed(0))
    quantizer.refit_(alike)
    assert torch.isfinite(quantizer.codebook).all()
    torch.testing.assert_close(quantizer.decode(quantizer.encode(alike[None]))[0], alike, atol=1e-3, rtol=0.0)


@pytest.mark.slow
def test_refitted_codewords_serve_every_prefix_better():
    quantizer = make(codewords=32, dim=6)
    drawn = torch.Generator().manual_seed(0)
    quantizer.initialise_(torch.randn(4000, 6, generator=drawn), drawn)
    other = torch.randn(1, 4000, 6, generator=drawn)  # not what they are fitted to

    def errors():
        codes = [quantizer.encode(other, number) for number in (1, 2, 3)]
        return [(quantizer.decode(each) - other).square().mean().item() for each in codes]

    before = errors()
    quantizer.refit_(torch.randn(8000, 6, generator=drawn))
    after = errors()
    assert after[0] < 1.02 * before[0]  # k-means is as good as it gets, and shares its codewords now
    assert after[1] < 0.98 * before[1]
    assert after[2] < 0.96 * before[2]


def test_k_means_lowers_the_error_of_random_centres():
    from sqcodec.quantizers.k_means import k_means

    points = torch.randn(3000, 3, generator=torch.Generator().manual_seed(0))
    centres = k_means(points, 16, torch.Generator().manual_seed(1))
    drawn = points[torch.randperm(3000, generator=torch.Generator().manual_seed(1))[:16]]
    error, random_error = (torch.cdist(points, c).min(1).values.square().mean() for c in (centres, drawn))
    assert error < 0.85 * random_error
    owner = torch.cdist(points, centres).argmin(1)
    means = torch.stack([points[owner == place].mean(0) for place in range(16)])
    assert (means - centres).norm(dim=1).max() < 0.2  # after 12 rounds centres hardly move


@pytest.mark.slow
def test_the_schedule_is_warm_up_then_codebooks_then_frozen_codebooks():
    quantizer, asked = make(warmup_steps=2, freeze_step=4), []

    def latents(enough):
        asked.append(enough)
        return torch.randn(enough, 4, generator=torch.Generator().manual_seed(len(asked)))

    states, books = [], []
    for step in range(1, 7):
        quantizer.begin_step_(step, latents, seed=3)
        states.append((quantizer.vae_warmup, quantizer.frozen))
        books.append(quantizer.codebook.detach().clone())
    assert states == [(True, False)] * 2 + [(False, False)] * 2 + [(False, True)] * 2
    assert asked == [16384, 128 * 12]  # k-means at step 3, the refit at step 5
    moved = [not torch.equal(former, now) for former, now in itertools.pairwise(books)]
    assert moved == [False, True, False, True, False]
    again = make(warmup_steps=2, freeze_step=4)
    asked.clear()
    again.begin_step_(3, latents, seed=3)
    assert torch.equal(again.codebook, books[2])  # the seed decides


def test_a_codeword_without_latents_stays_in_a_refit():
    quantizer = make(stages=2, codewords=3)
    with torch.no_grad():
        quantizer.codebook[0, 2] = 100.0
    quantizer.refit_(torch.randn(500, 4))
    torch.testing.assert_close(quantizer.codebook[0, 2], torch.full((4,), 100.0))  # held by inertia alone
