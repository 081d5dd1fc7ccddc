"""Griffin-Lim: exact lengths, block by block as at once, and sound that has the spectrogram it was asked for."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sqcodec.dsp import mel_filters
from sqcodec.features.mel import extract
from sqcodec.recipe import GriffinLimConfig
from sqcodec.spectrogram import FEATURES, PEAK
from sqcodec.vocoder import griffin_lim
from sqcodec.vocoder.griffin_lim import GriffinLim, linear_magnitude
from tests.conftest import speech_like

CONFIGS = list(FEATURES.values())


def rendered(features, config, samples, *, iterations=8, blocks=None) -> np.ndarray:
    pieces = features.split(blocks, dim=1) if blocks else [features]
    settings = GriffinLimConfig(kind="griffin-lim", iterations=iterations, momentum=0.99)
    return np.concatenate(list(GriffinLim(config, settings).render(pieces, samples)))


def error_db(sound: np.ndarray, wanted: torch.Tensor, config) -> float:
    """Mean squared difference in dB^2 between the features of `sound` and those wanted."""
    unit = config.dynamic_range or 20 / np.log(10)
    return ((extract(torch.from_numpy(sound), config) - wanted) * unit).square().mean().item()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
@pytest.mark.parametrize("samples", [1, 2, 79, 80, 81, 159, 160, 161, 162, 319, 320, 321, 322, 1279, 1280, 5000, 5001])
def test_any_length_comes_back_exactly(config, samples) -> None:
    features = extract(torch.from_numpy(speech_like(samples)), config)
    assert features.shape[1] == FEATURES["log-mel"].frame_count(samples)
    sound = rendered(features, config, samples, iterations=1)
    assert sound.shape == (samples,)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()


def test_a_length_beyond_the_frames_is_filled() -> None:
    config = FEATURES["paper-mel"]
    features = extract(torch.from_numpy(speech_like(3200)), config)[:, :20]
    assert rendered(features, config, 3200).shape == (3200,)  # the frames end at 3120: bare codes ask for this
    assert not rendered(features, config, 5000)[-600:].any()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_the_mel_inverse_gives_the_mel_amplitudes_back(config) -> None:
    features = extract(torch.from_numpy(speech_like(16000)), config)
    magnitude = linear_magnitude(features, config)
    assert magnitude.shape[0] == {"paper-mel": 257, "log-mel": 513}[config.kind]
    assert magnitude.min() >= 0
    bins, points = np.linspace(0, 1, config.n_fft // 2 + 1), np.linspace(0, 1, len(magnitude))
    dense = np.stack([np.interp(bins, points, frame) for frame in magnitude.T.numpy()], axis=1)
    got = 20 * np.log10(mel_filters(config).numpy() @ dense)
    db = features.double().numpy()
    wanted = (db - 1) * config.dynamic_range if config.dynamic_range else db * 20 / np.log(10)
    assert np.abs(got - wanted).mean() < 0.5  # what clipping negative magnitudes costs; 0.02 on real speech


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_the_sound_has_the_spectrogram_at_its_place(config) -> None:
    x = speech_like(32_000)
    features = extract(torch.from_numpy(x), config)
    sound = rendered(features, config, len(x), iterations=60) * np.float32(
        np.abs(x).max() / PEAK if config.dynamic_range else 1.0
    )
    assert error_db(sound, features, config) < 20  # measured: see docs; silence differs by more than 1000
    late = np.concatenate([np.zeros(80, np.float32), sound[:-80]])  # half a frame late is worse
    assert error_db(late, features, config) > error_db(sound, features, config)


def test_blocks_and_the_whole_are_equal_and_repeatable() -> None:
    config = FEATURES["paper-mel"]
    x = speech_like(16000 * 26)
    features = extract(torch.from_numpy(x), config)
    whole = rendered(features, config, len(x), iterations=2)
    assert np.array_equal(whole, rendered(features, config, len(x), iterations=2, blocks=177))
    assert len(whole) == len(x)


@pytest.mark.slow
def test_cuts_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    config = FEATURES["paper-mel"]
    x = speech_like(16000 * 26)
    features, level = extract(torch.from_numpy(x), config), np.float32(np.abs(x).max() / PEAK)
    cut = rendered(features, config, len(x), iterations=30) * level
    monkeypatch.setattr(griffin_lim, "_SEGMENT", 10_000)
    whole = rendered(features, config, len(x), iterations=30) * level
    assert not np.array_equal(cut, whole)
    assert error_db(cut, features, config) < 1.1 * error_db(whole, features, config)
    assert np.abs(np.diff(cut)).max() < 1.2 * np.abs(np.diff(whole)).max()


def test_the_callers_random_numbers_are_left_alone() -> None:
    config = FEATURES["paper-mel"]
    state = torch.random.get_rng_state()
    rendered(torch.zeros(80, 20), config, 3000)
    assert torch.equal(state, torch.random.get_rng_state())


def test_threads_leave_the_callers_random_numbers_alone() -> None:
    features = extract(torch.from_numpy(speech_like(8000)), CONFIGS[0])
    expected, state = rendered(features, CONFIGS[0], 8000), torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        sounds = list(pool.map(lambda _: rendered(features, CONFIGS[0], 8000), range(12)))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(np.array_equal(sound, expected) for sound in sounds)


@pytest.mark.skipif("SQCODEC_SPEECH" not in os.environ, reason="SQCODEC_SPEECH names no folder of real speech")
def test_real_speech_comes_back_within_a_few_db() -> None:
    config = FEATURES["paper-mel"]
    files = sorted((Path(os.environ["SQCODEC_SPEECH"]) / "dev").rglob("*.flac"))[::40][:4]
    if not files:
        pytest.skip("SQCODEC_SPEECH holds no dev/**/*.flac")
    for path in files:
        x = soundfile.read(path, dtype="float32", frames=48_000)[0]
        features = extract(torch.from_numpy(x), config)
        sound = rendered(features, config, len(x), iterations=60) * np.float32(np.abs(x).max() / PEAK)
        assert error_db(sound, features, config) < 15, path  # measured: 1 to 8 dB^2
