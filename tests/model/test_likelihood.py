"""Classes of 1 dB and the decoders over them, against float64 NumPy."""

import math

import mpmath
import numpy as np
import pytest
import torch

from sqcodec.model.likelihood import CategoricalLikelihood, GaussianLikelihood, VonMisesFisherLikelihood
from sqcodec.model.mel_classes import MelClasses, find_classes
from sqcodec.spectrogram import FEATURES

CLASSES = MelClasses(lowest=-2, number=7, scale=80.0)


def test_a_class_is_one_decibel_wide():
    values = torch.tensor([-2.0, -1.01, -0.99, 0.0, 4.99, 5.0, 99.0, -99.0]) / 80
    assert CLASSES.of(values).tolist() == [0, 0, 1, 2, 6, 6, 6, 0]
    assert CLASSES.clipped(values) == 3
    torch.testing.assert_close(CLASSES.values(torch.arange(7)), (torch.arange(7) - 1.5) / 80)
    assert torch.equal(CLASSES.of(CLASSES.values(torch.arange(7))), torch.arange(7))


@pytest.mark.parametrize(("kind", "scale"), [("paper-mel", 80.0), ("log-mel", 20 / math.log(10))])
def test_classes_span_the_quantiles_of_the_training_set(kind, scale):
    random = np.random.default_rng(0)
    features = random.normal(0.3, 0.2, size=(5000, 80)).astype(np.float16)
    classes = find_classes(features, FEATURES[kind])
    low, high = np.quantile(features.astype(np.float64), [0.0001, 0.9999], method="inverted_cdf") * scale
    assert (classes.lowest, classes.scale) == (math.floor(low), scale)
    assert classes.lowest + classes.number == math.floor(high) + 1
    # up to 1 dB more than the quantiles on each side
    assert classes.clipped(torch.from_numpy(features)) <= 0.0002 * features.size


def decoded_and_target():
    torch.manual_seed(0)
    decoded = torch.randn(2, 3 * 7, 5, requires_grad=True)
    target = (torch.rand(2, 3, 5) * 9 - 3) / 80
    classes = np.clip(np.floor(target.double().numpy() * 80 + 2), 0, 6).astype(int)
    scores = decoded.detach().double().numpy().reshape(2, 7, 3, 5)
    return decoded, target, scores, classes


def test_nc_is_the_cross_entropy_of_equation_9():
    decoded, target, scores, classes = decoded_and_target()
    fit = CategoricalLikelihood(CLASSES).fit(decoded, target)
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    expected = -np.take_along_axis(log_p, classes[:, None], 1).sum() / 2
    assert fit.loss.item() == pytest.approx(expected, rel=1e-5)  # float32 sums of 30 logarithms
    mse = (((scores.argmax(1) - 1.5) / 80 - target.numpy()) ** 2).mean()
    assert fit.mse.item() == pytest.approx(mse, rel=1e-5)
    fit.loss.backward()
    one_hot = np.moveaxis(np.eye(7)[classes], -1, 1)
    np.testing.assert_allclose(
        decoded.grad.numpy().reshape(2, 7, 3, 5), (np.exp(log_p) - one_hot) / 2, rtol=1e-4, atol=1e-6
    )


def test_vmf_is_the_density_of_equation_11():
    decoded, target, scores, classes = decoded_and_target()
    likelihood = VonMisesFisherLikelihood(CLASSES)
    assert likelihood.concentration.item() == pytest.approx(100.0)
    with torch.no_grad():
        likelihood.log_inverse_concentration.fill_(-math.log(12.0))
    fit = likelihood.fit(decoded, target)
    direction = scores / np.linalg.norm(scores, axis=1, keepdims=True)
    agreement = np.take_along_axis(direction, classes[:, None], 1).sum()
    normaliser = float(
        mpmath.log(mpmath.mpf(12) ** 2.5 / ((2 * mpmath.pi) ** 3.5 * mpmath.besseli(2.5, 12)))
    )  # C_7(12)
    assert fit.loss.item() == pytest.approx((-12 * agreement - 30 * normaliser) / 2, rel=1e-5)
    fit.loss.backward()
    mean_resultant = float(mpmath.besseli(3.5, 12) / mpmath.besseli(2.5, 12))
    # d loss / d log(1 / kappa) = -kappa d loss / d kappa
    expected = -12 * (-agreement + 30 * mean_resultant) / 2
    assert likelihood.log_inverse_concentration.grad.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("extreme", [-50.0, 50.0])
def test_a_runaway_concentration_stays_in_range(extreme):
    decoded, target, _, _ = decoded_and_target()
    likelihood = VonMisesFisherLikelihood(CLASSES)
    with torch.no_grad():
        likelihood.log_inverse_concentration.fill_(extreme)
    assert torch.isfinite(likelihood.fit(decoded, target).loss)


def test_the_spectrogram_is_the_centre_of_the_best_class():
    decoded, _, scores, _ = decoded_and_target()
    expected = torch.from_numpy((scores.argmax(1) - 1.5) / 80).float()
    for likelihood in (CategoricalLikelihood(CLASSES), VonMisesFisherLikelihood(CLASSES)):
        torch.testing.assert_close(likelihood.features(decoded), expected)
    values = torch.randn(2, 3, 5)
    assert GaussianLikelihood(0.0, "batch").features(values) is values


def test_loudness_weighs_errors_by_a_power_of_the_amplitude():
    random = np.random.default_rng(0)
    target, decoded = random.normal(-4, 2, (2, 5, 7)), random.normal(-4, 2, (2, 5, 7))
    weight = np.exp(2 * 0.46 * target)
    weight = 0.3 + 0.7 * weight / weight.mean((1, 2), keepdims=True)
    expected = 0.5 * 35 * np.log((weight * (decoded - target) ** 2).mean())
    fit = GaussianLikelihood(0.46, "batch").fit(torch.from_numpy(decoded).float(), torch.from_numpy(target).float())
    assert fit.loss.item() == pytest.approx(expected, rel=1e-5)
    assert fit.mse.item() == pytest.approx(((decoded - target) ** 2).mean(), rel=1e-5)  # what is reported stays plain
    louder = GaussianLikelihood(0.46, "batch").fit(
        torch.from_numpy(decoded + 3).float(), torch.from_numpy(target + 3).float()
    )
    assert louder.loss.item() == pytest.approx(fit.loss.item(), abs=1e-4)  # the recording's own level is no matter


def test_each_crop_has_a_variance_of_its_own():
    random = np.random.default_rng(1)
    target, decoded = random.normal(0, 1, (3, 5, 7)), random.normal(0, 1, (3, 5, 7))
    decoded[2] = target[2]  # silence, say: its variance stops at 1e-3
    variances = [((decoded - target)[crop] ** 2).mean() for crop in range(2)] + [1e-3]
    fit = GaussianLikelihood(0.0, "crop").fit(torch.from_numpy(decoded).float(), torch.from_numpy(target).float())
    assert fit.loss.item() == pytest.approx(0.5 * 35 * np.log(variances).mean(), rel=1e-5)
