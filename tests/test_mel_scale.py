"""Windows and mel filters against NumPy and librosa."""

from dataclasses import replace

import librosa
import numpy as np
import pytest

from sqcodec.mel_scale import (
    BANDS,
    fading,
    filters_over,
    hann_window,
    hz_to_mel,
    mel_bands,
    mel_filters,
    mel_to_hz,
    refinement_fft,
    shortest_fft,
)
from sqcodec.spectrogram import FEATURES, FeatureKind


@pytest.mark.parametrize("kind", ["paper-mel", "log-mel"])
def test_filters_are_librosas(kind: FeatureKind) -> None:
    config = FEATURES[kind]
    want = librosa.filters.mel(
        sr=16000, n_fft=config.n_fft, n_mels=80, fmin=config.f_min, fmax=config.f_max, dtype=np.float64
    )
    # ours are rounded to float32 once, from float64: half a unit of 2^-24 of filters below 0.05
    np.testing.assert_allclose(mel_filters(config), want, rtol=0, atol=2e-9)
    whole = np.zeros_like(mel_filters(config))
    for number, (first, filters) in enumerate(mel_bands(config)):
        whole[BANDS * number : BANDS * (number + 1), first : first + filters.shape[1]] = filters
    assert np.array_equal(whole, mel_filters(config))


def test_mel_scale_is_slaneys_and_invertible() -> None:
    hertz = np.array([0.0, 50.0, 999.0, 1000.0, 1001.0, 8000.0])
    np.testing.assert_allclose(hz_to_mel(hertz), librosa.hz_to_mel(hertz), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hertz)), hertz, rtol=1e-12, atol=1e-12)


def test_window_is_the_periodic_hann() -> None:
    np.testing.assert_allclose(hann_window(400), np.hanning(401)[:-1], atol=1e-7)


def test_the_shortest_fft_holds_the_window() -> None:
    assert [shortest_fft(FEATURES[kind]) for kind in ("paper-mel", "log-mel")] == [512, 1024]
    assert [refinement_fft(FEATURES[kind]) for kind in ("paper-mel", "log-mel")] == [512, 640]
    assert refinement_fft(replace(FEATURES["log-mel"], win_length=641)) == 768
    assert refinement_fft(replace(FEATURES["log-mel"], win_length=800)) == 1024


def test_filters_over_fewer_bins_find_what_lies_between_them() -> None:
    """Of a spectrum that is linear between the bins of the shorter FFT."""
    config = FEATURES["log-mel"]
    nodes = np.random.default_rng(0).random(321)
    every = np.interp(np.arange(513) * 640 / 1024, np.arange(321), nodes)
    np.testing.assert_allclose(filters_over(config, 640) @ nodes, mel_filters(config) @ every, rtol=1e-5)
    np.testing.assert_allclose(filters_over(config, 1024), mel_filters(config), rtol=1e-6)


def test_a_fading_ends_where_it_says() -> None:
    """1 up to the first frequency, 0 from the second one on, and half at the mean of their mel."""
    config = FEATURES["log-mel"]
    peaks = librosa.mel_frequencies(82, fmin=0.0, fmax=8000.0)[1:-1]
    weights = fading(config, 1000.0, 4000.0)
    assert (weights.dtype, weights.shape) == (np.float32, (80,))
    assert np.all(weights[peaks <= 1000] == 1)
    assert np.all(weights[peaks >= 4000] == 0)
    middle = float(librosa.mel_to_hz((librosa.hz_to_mel(1000) + librosa.hz_to_mel(4000)) / 2))
    assert np.interp(np.log(middle), np.log(peaks), weights) == pytest.approx(0.5, abs=1e-3)
    assert 0 < fading(config, 1000.0, 12_000.0)[-1] < 0.5  # beyond the highest band: a part is left there
