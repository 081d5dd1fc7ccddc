"""The WORLD vocoder: exact lengths, block by block as at once, F0 classes, and WORLD's own round trip on speech."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sqcodec.errors import RecipeError
from sqcodec.metrics import pitch
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.world import (
    F0_CLASSES,
    WorldNetwork,
    WorldParameters,
    WorldVocoder,
    _segments,
    analyse,
    f0_class,
    f0_of,
    fft_size,
    louder_envelope,
    synthesise,
)
from tests.conftest import speech_like
from tests.vocoder.conftest import small_world

LOG_MEL = FEATURES["log-mel"]
SPEECH = Path(__file__).parents[2] / "recipes/tiny/speech/VCTK-Corpus-0.92/wav48_silence_trimmed"


def test_its_layers_must_see_as_far_ahead_as_it_says() -> None:
    assert WorldNetwork(small_world("vocoder.lookahead=9"), LOG_MEL).trunk.ahead == 9
    with pytest.raises(RecipeError, match="lookahead must be at most 9 frames with 2 layers, got 10"):
        small_world("vocoder.lookahead=10")


def vocoder(voicing: float = 0.0) -> WorldVocoder:
    torch.manual_seed(0)
    network = WorldNetwork(small_world(), LOG_MEL)
    with torch.no_grad():
        network.head.weight[:181] *= 20.0  # so that voicing and F0 vary
        network.head.bias[0] = voicing
        network.mean[0], network.mean[-1] = -8.0, -10.0
    return WorldVocoder(network, LOG_MEL)


@pytest.mark.parametrize("frames", [1, 2, 3, 99, 100])
def test_lengths_are_exact(frames: int) -> None:
    made, features = vocoder(), torch.randn(2, 80, frames)
    sound = made.synthesise(features)
    assert sound.shape == (2, 160 * frames - 80)
    assert sound.isfinite().all()
    rendered = np.concatenate(list(made.render([features[0]], 160 * frames)))
    assert rendered.shape == (160 * frames,)
    assert np.array_equal(rendered[: 160 * frames - 80], sound[0].numpy())


@pytest.mark.slow
@pytest.mark.parametrize("voicing", [0.0, 100.0])
def test_blocks_equal_the_whole(voicing: float) -> None:
    """With 100 no frame is unvoiced and segments end at their longest."""
    made, features = vocoder(voicing), torch.randn(80, 4500, generator=torch.Generator().manual_seed(0))
    whole = made.synthesise(features[None])[0].numpy()
    for size in (313, 1000, 4500):
        assert np.array_equal(np.concatenate(list(made.render(features.split(size, dim=1), len(whole)))), whole)


def test_segments_end_where_no_voice_sounds() -> None:
    f0 = np.full(9000, 100.0)
    f0[[500, 1203, 1207, 2400, 8000]] = 0.0
    one = WorldParameters(f0, np.zeros((9000, 2)), np.zeros((9000, 1)))
    lengths = [len(part.f0) for part in _segments([one])]
    assert lengths == [1203, 1197, 4000, 1600, 1000]
    assert sum(lengths) == 9000


def test_f0_classes_go_round_trip() -> None:
    f0 = torch.tensor([61.0, 100.0, 123.4, 440.0, 790.0])
    places = torch.arange(F0_CLASSES) + 0.5
    logits = -0.5 * (places - f0_class(f0)[:, None]) ** 2
    cents = 1200 * torch.log2(f0_of(logits) / f0)
    assert cents[1:-1].abs().max() < 0.5  # a Gaussian cut at three classes
    assert cents.abs().max() < 15  # at the ends neighbours are missing on one side


def test_a_louder_envelope_is_a_louder_sound() -> None:
    x = speech_like(16000)
    quiet, loud = analyse(x, LOG_MEL, envelope=24), analyse(2 * x, LOG_MEL, envelope=24)
    difference = loud.envelope - quiet.envelope - 2 * np.log(2.0) * louder_envelope(LOG_MEL, envelope=24)
    assert np.abs(difference).mean() < 1e-3  # CheapTrick adds a fixed 1e-12 of noise
    assert louder_envelope(LOG_MEL, envelope=24).shape == (24,)
    assert fft_size(LOG_MEL) == 1024


@pytest.mark.parametrize(("rate", "bands"), [(16_000, 1), (24_000, 3), (48_000, 5)])
def test_analysis_and_synthesis_at_any_rate(rate: int, bands: int) -> None:
    config = replace(LOG_MEL, sample_rate=rate, hop_length=rate // 100)
    found = analyse(speech_like(rate // 2, rate=rate), config, envelope=24)
    assert (found.envelope.shape, found.aperiodicity.shape) == ((51, 24), (51, bands))
    assert WorldNetwork(small_world(), config).sizes == [1, F0_CLASSES, 24, bands]
    assert synthesise(found, config).shape == (51 * rate // 100,)


@pytest.mark.slow
def test_world_gives_back_the_pitch_of_the_speech_that_ships() -> None:
    """The plain round trip, which bounds what a network can do; its pitch is measured by another tracker (dio)."""
    cents, voicing = [], []
    for path in sorted(SPEECH.glob("*/*.flac"))[::8]:
        sound, rate = soundfile.read(path, dtype="float32")
        x = sound[::3] if rate == 48000 else sound
        made = synthesise(analyse(x, LOG_MEL, envelope=40), LOG_MEL)[: len(x)]
        one, other = pitch.f0_track(x), pitch.f0_track(np.pad(made, (0, len(x) - len(made))))
        both = (one > 0) & (other > 0)
        cents.append(np.abs(1200 * np.log2(other[both] / one[both])))
        voicing.append(((one > 0) != (other > 0)).mean())
    assert np.median(np.concatenate(cents)) < 10
    assert np.mean(voicing) < 0.15
