"""Engine and vocoder in NumPy against torch, from the same files with random weights."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sqcodec.errors import ModelError, VocoderError
from sqcodec.features.mel import extract
from sqcodec.model.model_file import load_model
from sqcodec.model.model_header import read_model
from sqcodec.model.torch_engine import TorchEngine
from sqcodec.recipe.vocoder_section import RefinementConfig
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.runtime.numpy_engine import NumpyEngine, knows
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.vocoder_file import load_vocoder
from sqcodec.vocoder.vocoder_header import Refining, read_header, refining_of
from tests.conftest import make_model as make_paper_model
from tests.conftest import speech_like
from tests.runtime.conftest import Both, make_model, make_vocoder
from tests.runtime.test_spectra import decibels

FRAMES = 4345  # three windows of the encoder, the last code of one frame


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return extract(speech_like(160 * FRAMES - 80), FEATURES["log-mel"])


def test_the_file_fits_speech(both: Both, features: np.ndarray) -> None:
    """What the other tests compare is not constant."""
    codes = np.concatenate([block.codes for block in both.numpy.encode([features], FRAMES, codebooks=5)], axis=1)
    assert codes.shape == (5, 2173)
    assert min(len(np.unique(row)) for row in codes) > 10


@pytest.mark.parametrize("codebooks", [1, 3, 5])
def test_codes_are_those_of_torch(both: Both, features: np.ndarray, codebooks: int) -> None:
    pieces = np.array_split(features, 7, axis=1)
    one, other = (list(engine.encode(pieces, FRAMES, codebooks=codebooks)) for engine in both[:2])
    assert np.array_equal(*(np.concatenate([block.features for block in each], axis=1) for each in (one, other)))
    codes, expected = (np.concatenate([block.codes for block in each], axis=1) for each in (other, one))
    # latents round differently: of codes that are equally near within 1e-5, one engine may take the other one
    assert (codes != expected).any(axis=0).mean() < 0.002


def test_latents_are_those_of_torch(both: Both, features: np.ndarray) -> None:
    window = np.ascontiguousarray(features[:, :402])
    with torch.inference_mode():
        expected = both.torch.model.encoder(torch.from_numpy(window)[None])[0].numpy()
    error = np.abs(both.numpy.latents(window) - expected)
    assert error.max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("codebooks", [1, 5])
def test_decoded_features_are_those_of_torch(both: Both, codebooks: int) -> None:
    codes = np.random.default_rng(0).integers(0, 64, (codebooks, 2234)).astype(np.uint16)
    one, other = (np.concatenate([*engine.decode(codes, 0)], axis=1) for engine in both[:2])
    assert one.shape == other.shape == (80, 4468)
    assert np.abs(one - other).max() < 1e-5 * np.abs(one).max()


def test_the_spectrum_is_that_of_torch(both: Both, features: np.ndarray) -> None:
    part = np.ascontiguousarray(features[:, :300])
    with torch.inference_mode():
        expected = both.torch_vocoder.network.spectrum(torch.from_numpy(part)[None])[0].numpy()
    spectrum = both.numpy_vocoder.spectrum(np.ascontiguousarray(part.T))
    assert (spectrum.dtype, spectrum.shape) == (np.complex64, (300, 321))
    assert np.abs(spectrum - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [1, 5])
def test_sound_is_that_of_torch(both: Both, features: np.ndarray, pieces: int) -> None:
    samples = 160 * FRAMES - 80
    expected, sound = (
        np.concatenate([*vocoder.render(np.array_split(features, pieces, axis=1), samples)])
        for vocoder in (both.torch_vocoder, both.numpy_vocoder)
    )
    assert len(sound) == len(expected) == samples
    scale = np.abs(expected).max()
    assert decibels((sound - expected) / scale) < -80


@pytest.mark.parametrize("samples", [1, 100, 16_001])
def test_sound_has_the_length_that_is_asked_for(both: Both, features: np.ndarray, samples: int) -> None:
    frames = FEATURES["log-mel"].frame_count(samples)
    sound = np.concatenate([*both.numpy_vocoder.render([features[:, :frames]], samples)])
    assert (sound.shape, sound.dtype) == ((samples,), np.float32)
    assert np.array_equal(np.concatenate([*both.numpy_vocoder.render([], 10)]), np.zeros(10))


def test_codes_of_few_stages_are_not_refined(both: Both, features: np.ndarray) -> None:
    header, part, samples = both.numpy_vocoder.header, features[:, :100], 15_920
    config = {**header.config, "refinement": {"iterations": 2, "momentum": 0.9, "stages": 3}}
    vocoder = NumpyIstftVocoder(replace(header, config=config))

    def sound(made: NumpyIstftVocoder, stages: float | None) -> np.ndarray:
        return np.concatenate([*made.render([part], samples, stages=stages)])

    plain = sound(NumpyIstftVocoder(header, iterations=0), 8)
    exactly = {**header.config, "refinement": {"iterations": 2, "momentum": 0.9, "stages": 2.2}}
    assert not np.allclose(sound(NumpyIstftVocoder(replace(header, config=exactly)), 55 / 25), plain)
    for few in (1, 2.99):
        assert np.array_equal(sound(vocoder, few), plain)
    refined = sound(vocoder, 3)
    assert not np.allclose(refined, plain)
    for others in (None, 8):  # features of recordings are refined always
        assert np.array_equal(sound(vocoder, others), refined)
    asked = NumpyIstftVocoder(vocoder.header, iterations=1)
    assert not np.allclose(sound(asked, 1), plain)  # who asks for iterations gets them


def test_codes_of_many_stages_are_refined_more(both: Both, features: np.ndarray) -> None:
    header, part, samples = both.numpy_vocoder.header, features[:, :100], 15_920
    refinement = {"iterations": 2, "momentum": 0.9, "stages": 2, "more": {"stages": 4.5, "iterations": 5}}
    config = {**header.config, "refinement": refinement}
    vocoder = NumpyIstftVocoder(replace(header, config=config))
    settings = RefinementConfig.model_validate(refinement).model_dump()
    for stages, iterations in ((1.9, 0), (2, 2), (4.49, 2), (4.5, 5), (8, 5), (None, 2)):
        made = np.concatenate([*vocoder.render([part], samples, stages=stages)])
        momentum = {**config, "refinement": {**refinement, "iterations": iterations, "stages": 0, "more": None}}
        alike = NumpyIstftVocoder(replace(header, config=momentum))
        assert np.array_equal(made, np.concatenate([*alike.render([part], samples, stages=stages)]))
        decoded = stages is not None
        assert refining_of(settings, stages) == Refining(iterations, float(decoded), decoded)
    for wrong in ({"more": {"stages": 4.5}}, {"stages": "x"}):
        damaged = {**header.config, "refinement": {**refinement, **wrong}}
        with pytest.raises(VocoderError, match="the file is damaged: "):
            NumpyIstftVocoder(replace(header, config=damaged))


def test_codes_of_many_stages_may_have_less_contrast(tmp_path: Path, features: np.ndarray) -> None:
    part, samples = features[:, :60], 9_520

    def rendered(scale: float, more: str, stages: float) -> list[np.ndarray]:
        """Sound by NumPy and by torch of a vocoder whose contrast is `scale` times the identity."""
        refinement = f"vocoder.refinement={{iterations: 2, momentum: 0.9, more: {{stages: 4.5, iterations: 3{more}}}}}"
        path = make_vocoder(tmp_path / "vocoder.safetensors", refinement, contrast=scale * torch.eye(80))
        vocoders = NumpyIstftVocoder(read_header(path)), load_vocoder(path, FEATURES["log-mel"])
        return [np.concatenate([*vocoder.render([part], samples, stages=stages)]) for vocoder in vocoders]

    for half, full in zip(rendered(0.4, ", contrast: 0.5", 5), rendered(0.2, "", 5), strict=True):
        assert np.array_equal(half, full)
    for half, full in zip(rendered(0.4, ", contrast: 0.5", 5), rendered(0.4, "", 5), strict=True):
        assert np.abs(half - full).max() > 1e-3 * np.abs(full).max()
    for none, plain in zip(rendered(0.4, ", contrast: 0", 5), rendered(0.0, "", 5), strict=True):
        np.testing.assert_allclose(none, plain, atol=1e-5)
    for few, others in zip(rendered(0.4, ", contrast: 0.5", 4), rendered(0.4, "", 4), strict=True):
        assert np.array_equal(few, others)


def test_the_engine_knows_convnext_with_a_residual_quantiser(tmp_path: Path) -> None:
    assert knows(read_model(make_model(tmp_path / "convnext.safetensors")).header)
    make_paper_model(tmp_path / "paper.safetensors")
    assert not knows(read_model(tmp_path / "paper.safetensors").header)


def change(path: Path, **tensors: torch.Tensor) -> None:
    """Replace tensors of a file; dots of their names are written as two underscores."""
    with safe_open(path, framework="pt") as file:
        kept, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    named = {name.replace("__", "."): value for name, value in tensors.items()}
    assert named.keys() <= kept.keys()
    assert json.loads(next(iter(metadata.values())))
    save_file(kept | named, path, metadata)


def test_a_model_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    path = make_model(tmp_path / "model.safetensors")
    change(path, quantizer__codebook=torch.zeros(5, 64, 12))
    with pytest.raises(ModelError, match="fingerprint .* the file is damaged"):
        NumpyEngine(read_model(path))
    change(make_model(path), decoder__embed__weight=torch.zeros(3, 3))
    engine = NumpyEngine(read_model(path))
    with pytest.raises(ModelError, match=r"decoder.embed.weight: got shape \(3, 3\), expected \(48, 12\)"):
        list(engine.decode(np.zeros((1, 3), np.uint16), 0))


def test_a_vocoder_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    path = make_vocoder(tmp_path / "vocoder.safetensors")
    change(path, head__bias=torch.zeros(7))
    with pytest.raises(VocoderError, match=r"do not fit the header; .* head.bias: got shape \(7,\)"):
        NumpyIstftVocoder(read_header(path))


@pytest.mark.parametrize("per_code", [1, 3])
def test_a_code_may_cover_another_number_of_frames(per_code: int, features: np.ndarray, tmp_path: Path) -> None:
    path = make_model(tmp_path / "model.safetensors", f"features.frames_per_code={per_code}", "train.frames=120")
    engines = TorchEngine(load_model(path)), NumpyEngine(read_model(path))
    part = np.ascontiguousarray(features[:, :1000])
    one, other = (
        np.concatenate([block.codes for block in engine.encode([part], 1000, codebooks=5)], axis=1)
        for engine in engines
    )
    assert one.shape == other.shape == (5, -(-1000 // per_code))
    assert (one != other).any(axis=0).mean() < 0.002
    decoded = [np.concatenate([*engine.decode(one.astype(np.int64), 0)], axis=1) for engine in engines]
    assert decoded[0].shape == (80, per_code * one.shape[1])
    assert np.abs(decoded[0] - decoded[1]).max() < 1e-5 * np.abs(decoded[0]).max()
