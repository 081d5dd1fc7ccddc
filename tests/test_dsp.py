"""Pure functions against NumPy and librosa."""

import librosa
import numpy as np
import pytest
import torch

from sqcodec.dsp import (
    amplitude_to_db,
    db_to_amplitude,
    de_emphasise,
    hann_window,
    hz_to_mel,
    mel_bands,
    mel_filters,
    mel_to_hz,
    pre_emphasise,
    reflect_index,
)
from sqcodec.spectrogram import FEATURES


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 100])
def test_reflection_is_numpys_however_far(samples):
    index = reflect_index(torch.arange(-250, samples + 250), samples)
    np.testing.assert_array_equal(index.numpy(), np.pad(np.arange(samples), 250, mode="reflect"))


@pytest.mark.parametrize("kind", ["paper-mel", "log-mel"])
def test_filters_are_librosas(kind):
    config = FEATURES[kind]
    want = librosa.filters.mel(
        sr=16000, n_fft=config.n_fft, n_mels=80, fmin=config.f_min, fmax=config.f_max, dtype=np.float64
    )
    # ours are rounded to float32 once, from float64: half a unit of 2^-24 of filters below 0.05
    np.testing.assert_allclose(mel_filters(config).numpy(), want, rtol=0, atol=2e-9)
    whole = torch.zeros_like(mel_filters(config))
    for number, (first, filters) in enumerate(mel_bands(config, torch.device("cpu"))):
        whole[20 * number : 20 * number + 20, first : first + filters.shape[1]] = filters
    assert torch.equal(whole, mel_filters(config))


def test_mel_scale_is_slaneys_and_invertible():
    hertz = torch.tensor([0.0, 50.0, 999.0, 1000.0, 1001.0, 8000.0], dtype=torch.float64)
    np.testing.assert_allclose(hz_to_mel(hertz).numpy(), librosa.hz_to_mel(hertz.numpy()), rtol=1e-12)
    torch.testing.assert_close(mel_to_hz(hz_to_mel(hertz)), hertz, rtol=1e-12, atol=1e-12)


def test_window_is_the_periodic_hann():
    np.testing.assert_allclose(hann_window(400, torch.device("cpu")).numpy(), np.hanning(401)[:-1], atol=1e-7)


def test_pre_emphasis_goes_on_from_the_sample_before():
    samples = torch.randn(100)
    whole = pre_emphasise(samples, 0.25, 0.97)
    assert whole[0] == samples[0] - 0.97 * 0.25
    parts = [pre_emphasise(samples[:40], 0.25, 0.97), pre_emphasise(samples[40:], samples[39].item(), 0.97)]
    assert torch.equal(torch.cat(parts), whole)


def test_decibels_go_round_trip():
    amplitude = torch.tensor([1e-5, 0.1, 1.0, 10.0])
    torch.testing.assert_close(amplitude_to_db(amplitude), torch.tensor([-100.0, -20.0, 0.0, 20.0]))
    torch.testing.assert_close(db_to_amplitude(amplitude_to_db(amplitude)), amplitude, rtol=1e-5, atol=0)


@pytest.mark.parametrize("samples", [1, 2, 3, 100, 5000])
def test_de_emphasis_undoes_pre_emphasis(samples):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, samples))).float()
    back = de_emphasise(pre_emphasise(x, 0.0, 0.97), 0.97)
    # float32 rounding of the differences, summed with a memory of 1 / (1 - 0.97) samples
    assert (back - x).abs().max() < 2e-5
    assert torch.equal(de_emphasise(x, 0.0), x)


def test_a_window_first_used_without_gradients_serves_a_training() -> None:
    hann_window.cache_clear()
    with torch.inference_mode():
        hann_window(16, torch.device("cpu"))
    frames = torch.ones(16, requires_grad=True)
    (frames * hann_window(16, torch.device("cpu"))).sum().backward()
    assert frames.grad is not None
