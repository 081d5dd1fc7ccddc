"""The losses of what a listener would mind, against NumPy and against what they stand for."""

import numpy as np
import pytest
import torch

from sqcodec.metrics.stoi import stoi
from sqcodec.train.vocoder.perceptual import perceptual_loss, shortest
from tests import reference
from tests.conftest import speech_like


def noisy(sound, decibels, *, seed=0):
    noise = np.random.default_rng(seed).normal(size=len(sound))
    return (sound + noise * np.sqrt(np.square(sound).mean()) * 10 ** (-decibels / 20)).astype(np.float32)


def loss_of(degraded, clean, sample_rate=16000):
    found = perceptual_loss(torch.tensor(degraded)[None], torch.tensor(clean)[None], sample_rate)
    return float(found.disturbance), float(found.envelopes)


def restless(samples, *, seed):
    """Noise whose level moves, never silent: the floors of the losses do not matter."""
    time = np.arange(samples) / samples
    level = 0.05 * (1 + 0.6 * np.sin(2 * np.pi * (3 + seed) * time))
    return (level * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


@pytest.mark.parametrize(("sample_rate", "seed"), [(16000, 1), (16000, 2), (24000, 1)])
def test_losses_match_the_equations(sample_rate: int, seed: int) -> None:
    sound = restless(sample_rate, seed=seed)
    degraded = noisy(sound, 10, seed=9)
    pair = sound.astype(float), degraded.astype(float)
    disturbance, envelopes = loss_of(degraded, sound, sample_rate)
    similar = reference.extended_intelligibility(*pair, sample_rate, floor=1e-3)
    assert envelopes == pytest.approx(1 - similar, abs=1e-3)  # the level has a floor of 1e-5 beside about 0.5
    if sample_rate == 16000:  # elsewhere the windows are no power of two, as those of the reference are
        symmetric, added = reference.loudness_disturbances(*pair, sample_rate)
        assert disturbance == pytest.approx(0.1 * symmetric + 0.0309 * added, rel=1e-4)


def test_what_is_the_same_costs_nothing_at_any_level() -> None:
    sound = speech_like(16000)
    assert loss_of(sound, sound) == pytest.approx((0, 0), abs=0.01)  # pauses count little, not nothing
    noise = noisy(sound, 15)
    assert loss_of(0.01 * noise, 0.01 * sound) == pytest.approx(
        loss_of(noise, sound), rel=0.02
    )  # floors of 1e-10, 1e-5
    assert loss_of(0.5 * noise, sound) == pytest.approx(loss_of(noise, sound), rel=0.05)  # levels are matched


@pytest.mark.slow
def test_more_noise_costs_more_and_envelopes_follow_estoi() -> None:
    sound = speech_like(48000, seed=3)
    costs = [loss_of(noisy(sound, decibels), sound) for decibels in (30, 20, 10, 0)]
    assert all(np.diff(costs, axis=0).ravel() > 0)
    measured = [1 - stoi(sound, noisy(sound, decibels), extended=True) for decibels in (30, 20, 10, 0)]
    assert np.corrcoef([each for _, each in costs], measured)[0, 1] > 0.95


def test_what_is_added_costs_more_than_what_is_missing() -> None:
    """A band 12 dB too strong against one 12 dB too weak."""
    sound = speech_like(32000, seed=4)
    spectrum = np.fft.rfft(sound)
    band = slice(len(spectrum) // 4, len(spectrum) // 3)
    changed = []
    for factor in (4.0, 0.25):
        other = spectrum.copy()
        other[band] *= factor
        changed.append(loss_of(np.fft.irfft(other).astype(np.float32), sound)[0])
    assert changed[0] > 1.3 * changed[1]


@pytest.mark.slow
def test_gradients_lead_to_the_recording_and_silence_has_finite_ones() -> None:
    sound = torch.tensor(speech_like(16000))[None]
    made = torch.tensor(noisy(sound[0].numpy(), 10))[None].requires_grad_()
    optimizer = torch.optim.Adam([made], lr=1e-3)
    costs = []
    for _ in range(10):
        loss = sum(perceptual_loss(made, sound, 16000))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        costs.append(float(loss.detach()))
    assert all(np.diff(costs) < 0)
    assert costs[-1] < 0.95 * costs[0]
    for one, other in ((torch.zeros(1, 16000), sound), (sound, torch.zeros(1, 16000)), (torch.zeros(1, 16000),) * 2):
        leaf = one.clone().requires_grad_()
        sum(perceptual_loss(leaf, other, 16000)).backward()
        assert leaf.grad.isfinite().all()


def test_the_shortest_sound_has_one_segment() -> None:
    samples = shortest(16000)
    sound = speech_like(16000)
    assert np.isfinite(loss_of(sound[:samples], sound[:samples])).all()
    with pytest.raises(RuntimeError):
        loss_of(sound[: samples - 1], sound[: samples - 1])
