"""Sound from spectra and its refinement against torch."""

import numpy as np
import pytest
import torch

from sqcodec import dsp
from sqcodec.features.mel import extract
from sqcodec.runtime.istft_vocoder import inverse_stft_same, spread
from sqcodec.runtime.phase_refinement import _Banded, refine
from sqcodec.runtime.spectra import frames_same
from sqcodec.spectrogram import FEATURES, FeatureKind
from sqcodec.vocoder import refinement
from tests.conftest import speech_like

TORCH = dsp.StftConfig(n_fft=640, win_length=640, hop_length=160)


def decibels(error: np.ndarray) -> float:
    """RMS of an error in dB of full scale."""
    return float(20 * np.log10(np.sqrt(np.mean(np.square(error.astype(np.float64)))) + 1e-30))


def test_frames_are_those_of_torch() -> None:
    x = speech_like(1600)
    assert np.array_equal(frames_same(x, 640, 160), dsp.frames_same(torch.from_numpy(x)[None], TORCH)[0].numpy())


@pytest.mark.parametrize("frames", [1, 5, 100])
def test_the_inverse_stft_is_that_of_torch(frames: int) -> None:
    random = np.random.default_rng(0).normal(size=(2, frames, 321))
    spectrum = (random[0] + 1j * random[1]).astype(np.complex64)
    expected = dsp.inverse_stft_same(torch.from_numpy(spectrum)[None], TORCH)[0].numpy()
    sound = inverse_stft_same(spectrum, 640, 160)
    assert (sound.dtype, sound.shape) == (np.float32, (160 * frames,))
    assert decibels(sound - expected) < -120  # float32 rounding of sound near full scale


@pytest.mark.parametrize("fades", [None, (1000.0, 8000.0)])
@pytest.mark.parametrize("contrast", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["paper-mel", "log-mel"])
def test_the_refinement_is_that_of_torch(kind: FeatureKind, contrast: float, fades: tuple[float, float] | None) -> None:
    config = FEATURES[kind]
    sound = speech_like(16000)
    features = extract(sound, config)[:, :100]
    start = (sound + 0.05 * np.random.default_rng(1).normal(size=16000)).astype(np.float32)
    options = {"iterations": 4, "momentum": 0.99, "fades": fades}
    matrix = contrast * (np.eye(80, dtype=np.float32) - 1 / 80) if contrast else None
    with torch.inference_mode():
        expected = refinement.refine(
            torch.from_numpy(start)[None],
            torch.from_numpy(features)[None],
            config,
            contrast=None if matrix is None else torch.from_numpy(matrix),
            **options,
        )
    refined = refine(start, np.ascontiguousarray(features.T), config, contrast=matrix, **options)
    assert decibels(refined - start) > -40  # it changes something
    # measured -130; phases are extrapolated from differences of spectra, which round
    assert decibels(refined - expected[0].numpy()) < -110


def test_a_target_of_nothing_stays_finite() -> None:
    """Amplitudes whose squares are 0 in float32, as an odd network may give them."""
    sound, features = speech_like(1600), np.full((10, 80), -90, np.float32)
    options = {"iterations": 2, "momentum": 0.9}
    made = refine(sound, features, FEATURES["log-mel"], contrast=np.eye(80, dtype=np.float32), **options)
    with torch.inference_mode():
        target = torch.from_numpy(features.T.copy())[None]
        expected = refinement.refine(
            torch.from_numpy(sound)[None], target, FEATURES["log-mel"], contrast=torch.eye(80), **options
        )
    assert np.isfinite(made).all()
    assert decibels(made - expected[0].numpy()) < -110


def test_no_iterations_change_nothing() -> None:
    sound = speech_like(1600)
    unchanged = refine(sound, np.zeros((10, 80), np.float32), FEATURES["log-mel"], iterations=0, momentum=0.99)
    assert unchanged is sound


@pytest.mark.parametrize("kind", ["paper-mel", "log-mel"])
def test_the_spread_is_that_of_torch(kind: FeatureKind) -> None:
    config = FEATURES[kind]
    assert spread(config.win_length, config.hop_length) == refinement.spread(config)


@pytest.mark.parametrize(("inputs", "outputs"), [(321, 80), (80, 321), (5, 3), (4, 1)])
def test_pieces_of_a_banded_matrix_give_its_product(inputs: int, outputs: int) -> None:
    """As the filters of a spectrum are: triangles along a diagonal, and an output that nothing reaches."""
    rng = np.random.default_rng(inputs)
    centres = np.linspace(0, inputs - 1, outputs)
    distance = np.abs(np.arange(inputs)[:, None] - centres)
    matrix = np.maximum(0, 1 - distance / (1 + inputs / outputs)).astype(np.float32)
    matrix[:, outputs // 2] = 0 if outputs > 1 else matrix[:, 0]
    values, out = rng.standard_normal((7, inputs), np.float32), np.full((7, outputs), np.nan, np.float32)
    _Banded(matrix).apply(values, out=out)
    np.testing.assert_allclose(out, values.astype(np.float64) @ matrix, atol=1e-5)
