"""VQ-VAE quantisers against the float64 reference."""

import numpy as np
import pytest
import torch

from sqcodec.quantizers.vq import VqQuantizer
from sqcodec.quantizers.vq_ema import VqEmaQuantizer
from sqcodec.recipe.quantizer_section import VqConfig, VqEmaConfig
from tests import reference


def make(commitment=0.25, *, codewords=16, dim=4, initialisation="data"):
    torch.manual_seed(0)
    return VqQuantizer(
        VqConfig(codewords=codewords, dim=dim, commitment=commitment, weighting="sums", initialisation=initialisation)
    )


def make_ema(*, codewords=16, dim=4, decay=0.9, reset_below=0.0, initial_count=1.0, initialisation="uniform"):
    torch.manual_seed(0)
    config = VqEmaConfig(
        codewords=codewords, dim=dim, commitment=0.25, decay=decay, epsilon=1e-5, reset_below=reset_below,
        initial_count=initial_count, weighting="sums", initialisation=initialisation,
    )  # fmt: skip
    return VqEmaQuantizer(config)


def flat(encoded):
    return encoded.detach().double().numpy().reshape(-1, encoded.shape[-1])


def test_loss_and_gradients_are_those_of_the_equation():
    quantizer = make(commitment=0.6)
    with torch.no_grad():
        quantizer.codebook.normal_()
        quantizer.seen.fill_(1)
    encoded = torch.randn(3, 5, 4, requires_grad=True)
    out = quantizer(encoded, 1.0)
    out.quadratic.sum().backward()
    loss, by_latent, by_codeword = reference.vq_loss(flat(encoded), quantizer.codebook.detach().double().numpy(), 0.6)
    # float32 rounding of sums of 15 terms of order 1
    assert out.quadratic.sum().item() == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(encoded.grad.reshape(15, 4).numpy(), by_latent, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(quantizer.codebook.grad.numpy(), by_codeword, rtol=1e-4, atol=1e-6)


def test_gradients_go_straight_through():
    quantizer = make()
    encoded = torch.randn(3, 5, 4, requires_grad=True)
    out = quantizer(encoded, 1.0)
    weight = torch.randn_like(out.z_q)
    (out.z_q * weight).sum().backward()
    assert torch.equal(encoded.grad, weight)
    torch.testing.assert_close(out.z_q, quantizer.decode(out.codes))


@pytest.mark.parametrize("build", [make, make_ema])
def test_a_codebook_from_data_holds_latents_of_the_first_batch(build):
    quantizer = build(initialisation="data")
    first = torch.randn(2, 40, 4)
    out = quantizer(first, 1.0, torch.Generator().manual_seed(0))
    distance = (quantizer.decode(out.codes).reshape(-1, 1, 4) - first.reshape(1, -1, 4)).norm(dim=-1).amin(1)
    if build is make:
        assert distance.max() == 0
        before = quantizer.codebook.detach().clone()
        quantizer(torch.randn(2, 40, 4) + 9, 1.0)
        assert torch.equal(before, quantizer.codebook)  # only the first batch places them
    else:
        assert distance.median() < 0.5  # moved by one step towards the mean of the latents it codes


def test_codewords_are_the_moving_averages_of_the_appendix():
    quantizer = make_ema()
    with torch.no_grad():
        quantizer.codebook.normal_()
        quantizer.total.copy_(quantizer.codebook)
    before = quantizer.codebook.double().numpy().copy()
    batches = [torch.randn(2, 10, 4) for _ in range(5)]
    for encoded in batches:
        quantizer(encoded, 1.0)
    expected = reference.moving_average([flat(encoded) for encoded in batches], before, 0.9, 1e-5)
    # five float32 updates of values of order 1
    np.testing.assert_allclose(quantizer.codebook.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_an_unused_codeword_stays_where_it_is():
    quantizer = make_ema(decay=0.99)
    with torch.no_grad():
        quantizer.codebook.normal_()
        quantizer.codebook[3] = 100.0
        quantizer.total.copy_(quantizer.codebook)
    for _ in range(50):
        quantizer(torch.randn(2, 10, 4), 1.0)
    # its smoothed count is N + epsilon with N above 0.6: 2e-5 of 100
    torch.testing.assert_close(quantizer.codebook[3], torch.full((4,), 100.0), rtol=5e-4, atol=0)


def test_outside_of_training_nothing_moves():
    quantizer = make_ema().eval()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(torch.randn(2, 10, 4), 1.0)
    assert all(torch.equal(before[name], value) for name, value in quantizer.state_dict().items())


def test_dead_codewords_are_put_on_latents():
    quantizer = make_ema(reset_below=0.3, decay=0.5)
    with torch.no_grad():
        quantizer.codebook.normal_()
        quantizer.codebook[5] = 1000.0
        quantizer.total.copy_(quantizer.codebook)
    for step in range(8):
        encoded = torch.randn(2, 40, 4)
        quantizer(encoded, 1.0, torch.Generator().manual_seed(step))
    assert quantizer.codebook.abs().max() < 10
    kept = make_ema(reset_below=0.0, decay=0.5)
    kept.load_state_dict(quantizer.state_dict())
    with torch.no_grad():
        kept.codebook[5] = kept.total[5] = 1000.0
    for _ in range(8):
        kept(torch.randn(2, 40, 4), 1.0)
    assert kept.codebook.abs().max() > 100  # without reset it stays dead


def test_the_usual_baseline_counts_from_0_and_loses_what_is_not_used_at_the_first_step():
    quantizer = make_ema(decay=0.999, initial_count=0.0)
    assert (quantizer.count == 0).all()
    begin, z = quantizer.codebook.clone(), torch.full((1, 8, 4), 0.01)
    codes = quantizer(z, 1.0).codes.flatten()
    used = torch.zeros(16, dtype=torch.bool)
    used[codes] = True
    assert int(used.sum()) == 1
    assert quantizer.count[used].item() == pytest.approx(0.008, rel=1e-5)  # (1 - decay) 8, float32
    expected = (
        0.999 * begin[used] + 0.001 * 8 * z[0, :1]
    ) / 0.008  # m_i began at the codeword; epsilon is 1e-5 of 0.008
    assert torch.allclose(quantizer.codebook[used], expected, rtol=0.05)
    assert quantizer.codebook[~used].norm(dim=1).min() > 10 * begin.norm(dim=1).max()  # 0.999 e / (about 1e-5)


@pytest.mark.parametrize("count", [0.5, 1.0, 2.0])
def test_the_first_step_moves_no_unused_codeword(count):
    """The sum that a codeword begins with is of as many latents as its count."""
    quantizer = make_ema(initial_count=count, decay=0.99)
    before = quantizer.codebook.clone()
    quantizer._learn_(before[:1].repeat(8, 1), torch.zeros(8, dtype=torch.int64), None)
    assert torch.allclose(quantizer.codebook[1:], before[1:], rtol=1e-3)
