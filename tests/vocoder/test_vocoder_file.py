"""Vocoder files: round trip, refusal of other features with both named, damage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sqcodec.errors import VocoderError
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.istft import IstftNetwork
from sqcodec.vocoder.vocoder_file import config_of, load_vocoder, save_vocoder
from sqcodec.vocoder.vocoder_header import read_header
from sqcodec.vocoder.world import WorldNetwork
from tests.runtime.test_spectra import decibels
from tests.vocoder.conftest import small_istft, small_world

LOG_MEL, PAPER_MEL = FEATURES["log-mel"], FEATURES["paper-mel"]


def saved(path: Path, kind: str = "istft", features=LOG_MEL, codec: str | None = None) -> torch.nn.Module:
    torch.manual_seed(1)
    config = small_istft() if kind == "istft" else small_world()
    network = IstftNetwork(config, features) if kind == "istft" else WorldNetwork(config, features)
    network.trunk.scale.set_(torch.randn(80), torch.rand(80))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_vocoder(path, network, config=config, features=features, step=12, codec=codec)
    return network


@pytest.mark.parametrize("kind", ["istft", "world"])
def test_what_is_saved_comes_back(kind, tmp_path) -> None:
    path = tmp_path / "vocoder.safetensors"
    network = saved(path, kind, codec="0123456789abcdef")
    header = read_header(path)
    assert (header.step, header.codec, header.features) == (12, "0123456789abcdef", LOG_MEL)
    assert config_of(header) == (small_istft() if kind == "istft" else small_world())
    loaded = load_vocoder(path, LOG_MEL)
    assert loaded.kind == kind
    state = loaded.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert {file.name for file in tmp_path.iterdir()} == {"vocoder.safetensors"}


def test_a_contrast_comes_back_in_both_runtimes(tmp_path) -> None:
    path = tmp_path / "vocoder.safetensors"
    network = saved(path)
    assert load_vocoder(path, LOG_MEL).network.contrast is None
    config = small_istft("vocoder.refinement.fades=[1000, 7000]")
    for bands in (80, 79):
        network.contrast = torch.randn(bands, bands) / 80
        save_vocoder(path, network, config=config, features=LOG_MEL, step=12, codec=None)
        if bands == 80:
            loaded, header = load_vocoder(path, LOG_MEL), read_header(path)
            assert torch.equal(loaded.network.contrast, network.contrast)
            assert loaded.refinement.fades == (1000, 7000)
            features = np.random.default_rng(0).normal(-5, 1, (80, 40)).astype(np.float32)
            one, other = (
                np.concatenate([*made.render([features], 5000, stages=8)])
                for made in (loaded, NumpyIstftVocoder(header))
            )
            assert decibels(one - other) < -80 + decibels(one)
            other = load_vocoder(path, LOG_MEL)
            other.network.contrast = None
            plain = np.concatenate([*other.render([features], 5000, stages=8)])
            assert decibels(one - plain) > -40 + decibels(one)
            natural = np.concatenate([*other.render([features], 5000)])
            assert decibels(natural - plain) > -40 + decibels(one)  # recordings are corrected in full
            for made in (loaded, NumpyIstftVocoder(header)):  # and lack no contrast
                assert decibels(natural - np.concatenate([*made.render([features], 5000)])) < -80 + decibels(one)
    for load in (lambda: load_vocoder(path, LOG_MEL), lambda: NumpyIstftVocoder(read_header(path))):
        with pytest.raises(VocoderError, match="the file is damaged"):
            load()
    saved(path)
    header = read_header(path)
    for fades in ([7000, 1000], [1000, 1000], [0, 1000], [1000]):
        wrong = {**header.config, "refinement": {"iterations": 1, "momentum": 0.9, "fades": fades}}
        with pytest.raises(VocoderError, match="the file is damaged"):
            NumpyIstftVocoder(replace(header, config=wrong))


def test_other_features_are_refused_with_both_named(tmp_path) -> None:
    path = tmp_path / "vocoder.safetensors"
    saved(path)
    with pytest.raises(VocoderError) as caught:
        load_vocoder(path, PAPER_MEL)
    assert str(caught.value) == (
        f"{path}: a vocoder for log-mel features (n_fft 1024 where 2048 is given, win_length 640 where 400 is given,"
        " f_min 0.0 where 50.0 is given, pre_emphasis 0.0 where 0.97 is given, dynamic_range None where 80.0 is given),"
        " got paper-mel; choose a vocoder for paper-mel, or griffin-lim, which takes every kind"
    )


def test_what_is_no_vocoder_is_one_error(tmp_path, tiny_model) -> None:
    path = tmp_path / "vocoder.safetensors"
    saved(path)
    whole = path.read_bytes()
    for content in (b"", b"RIFF", whole[:100], whole[:-40], tiny_model.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(VocoderError, match="expected a vocoder.safetensors that|the file is damaged"):
            load_vocoder(path, LOG_MEL)
    with pytest.raises(
        VocoderError, match="no such vocoder file; 'sqcodec train RECIPE' with `stage` vocoder makes one"
    ):
        load_vocoder(tmp_path / "none", LOG_MEL)
    path.write_bytes(whole.replace(b'\\"format\\": 5', b'\\"format\\": 9'))
    with pytest.raises(VocoderError, match="got vocoder format 9, this version of sqcodec reads up to 5"):
        read_header(path)
