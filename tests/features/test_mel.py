"""Features against librosa, whole against blocks, edges and scaling."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sqcodec.errors import AudioError
from sqcodec.features import mel
from sqcodec.features.mel import extract, features_of
from sqcodec.recording import ArrayRecording
from sqcodec.spectrogram import FEATURES, FeatureConfig
from tests import reference
from tests.conftest import speech_like

SHIPPED = Path(__file__).parents[2] / "recipes" / "tiny" / "speech" / "2019" / "english"
PAPER, LOG = FEATURES["paper-mel"], FEATURES["log-mel"]


class Pieces:
    """A recording at 16 kHz that comes in pieces of so many samples; counts how often it is read."""

    rate = 16000

    def __init__(self, samples, piece):
        self.samples, self.piece, self.passes = samples, piece, 0

    def blocks(self, rate):
        self.passes += 1
        return np.split(self.samples, range(self.piece, len(self.samples), self.piece))


def shipped():
    return [soundfile.read(path, dtype="float32")[0] for path in sorted(SHIPPED.rglob("*.flac"))]


def real():
    if "SQCODEC_SPEECH" not in os.environ:
        pytest.skip("SQCODEC_SPEECH does not name a folder of real speech")
    folder = Path(os.environ["SQCODEC_SPEECH"]) / "dev" / "librispeech"
    return [soundfile.read(path, dtype="float32")[0] for path in sorted(folder.rglob("*.flac"))[:10]]


@pytest.mark.slow
@pytest.mark.parametrize("recordings", [shipped, real])
@pytest.mark.parametrize(("config", "expected"), [(PAPER, reference.paper_mel), (LOG, reference.log_mel)])
def test_features_are_librosas(recordings, config, expected):
    compared = 0
    for samples in recordings():
        if len(samples) < 2048:  # librosa warns
            continue
        want = expected(samples)
        got = extract(torch.from_numpy(samples), config).numpy()
        assert got.shape == (80, config.frame_count(len(samples)))
        assert got.shape[1] - want.shape[1] in (0, 1)
        # 1e-4 of `paper-mel` is 0.008 dB; `log-mel` in nats at amplitudes near the floor, where float32 FFT rounding of
        # 1e-7 of the loudest bin shows, is held to 1e-3
        assert abs(got[:, : want.shape[1]] - want).max() < (1e-4 if config is PAPER else 1e-3)
        compared += 1
    assert compared >= 5


@pytest.mark.parametrize("config", [PAPER, LOG])
@pytest.mark.parametrize("samples", [1, 2, 79, 80, 81, 199, 200, 201, 399, 400, 401, 1025, 5000, 48017])
@pytest.mark.parametrize("piece", [37, 160, 100000])
@pytest.mark.parametrize("kept", [0, 10_000])  # read twice, or once
def test_blocks_equal_the_whole(config, samples, piece, kept, monkeypatch):
    monkeypatch.setattr(mel, "_BLOCK_FRAMES", 7)
    monkeypatch.setattr(mel, "_KEPT_FRAMES", kept)
    audio = 0.1 * np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    statistics, pieces = features_of(Pieces(audio, piece), config)
    assert statistics.samples == samples
    assert statistics.peak == abs(audio).max()
    blocks = list(pieces)
    assert all(block.shape[1] == 7 for block in blocks[:-1])
    # the same sums in another order: float32 rounding of amplitudes, through a logarithm
    np.testing.assert_allclose(np.concatenate(blocks, 1), extract(audio, config), rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 2, 5, 150])
def test_short_recordings_are_reflected_as_numpy_does(samples):
    audio = np.random.default_rng(0).normal(size=samples).astype(np.float32)
    emphasised = np.append(audio[:1], audio[1:] - np.float32(0.97) * audio[:-1])
    window = np.hanning(401)[:-1]
    padded = reference.reflected(emphasised, 400)[200:]  # frame t covers 160 t - 200 .. 160 t + 199
    frames = np.stack([padded[160 * t :][:400] * window for t in range(PAPER.frame_count(samples))])
    spectrum = abs(np.fft.rfft(frames, n=2048))
    import librosa

    mel = librosa.filters.mel(sr=16000, n_fft=2048, n_mels=80, fmin=50) @ spectrum.T * 0.999 / abs(audio).max()
    decibels = 20 * np.log10(np.maximum(mel, 1e-5))
    want = np.maximum(decibels, decibels.max() - 80) / 80 + 1
    # two samples make a periodic signal with spectral nulls 75 dB (5600 times) down, where float32 rounding of 400
    # terms (20 x 6e-8 of the maximum) is 0.7 % or 0.06 dB: 8e-4 in feature units
    np.testing.assert_allclose(extract(torch.from_numpy(audio), PAPER).numpy(), want, atol=8e-4)


def test_level_does_not_change_paper_mel_and_shifts_log_mel():
    audio = shipped()[-1]
    torch.testing.assert_close(
        extract(torch.from_numpy(audio), PAPER), extract(torch.from_numpy(audio * 0.125), PAPER), rtol=0, atol=1e-5
    )
    loud, quiet = (extract(torch.from_numpy(audio * level), LOG) for level in (1.0, 0.125))
    audible = quiet > np.log(1e-3)
    torch.testing.assert_close((loud - quiet)[audible], torch.full_like(loud[audible], np.log(8.0)), rtol=0, atol=1e-4)


def test_range_is_80_db_below_the_loudest_value():
    features = extract(torch.from_numpy(shipped()[-1]), PAPER)
    assert features.max() - features.min() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("config", [PAPER, LOG])
def test_silence_is_finite(config):
    silence = torch.zeros(1000)
    features = extract(silence, config)
    assert torch.isfinite(features).all()
    assert features.std() == 0
    assert features_of(ArrayRecording(silence.numpy(), 16000), config)[0].gain == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_samples_that_are_not_finite_are_refused(bad):
    audio = torch.zeros(1000)
    audio[500] = bad
    message = r"^the recording holds samples that are not finite \(NaN or infinity\); repair or leave out the file$"
    with pytest.raises(AudioError, match=message):
        extract(audio, PAPER)
    with pytest.raises(AudioError, match=message):
        features_of(Pieces(audio.numpy(), 100), PAPER)


def test_no_samples_are_refused():
    with pytest.raises(AudioError, match="^the recording holds no samples; expected at least one$"):
        extract(torch.zeros(0), PAPER)
    with pytest.raises(AudioError, match="^the recording holds no samples; expected at least one$"):
        features_of(Pieces(np.zeros(0, np.float32), 100), PAPER)


@pytest.mark.parametrize("config", [PAPER, LOG])
@pytest.mark.parametrize(("kept", "passes"), [(30_000, 1), (1000, 2)])
def test_a_recording_is_read_once_unless_it_is_long(monkeypatch, config, kept, passes):
    monkeypatch.setattr(mel, "_KEPT_FRAMES", kept)
    audio = torch.from_numpy(np.concatenate(shipped())[: 160 * 1001])
    recording = Pieces(audio.numpy(), 16016)
    statistics, pieces = features_of(recording, config)
    # the same sums in another order, as in blocks
    np.testing.assert_allclose(np.concatenate([*pieces], axis=1), extract(audio.numpy(), config), rtol=0, atol=1e-5)
    assert (statistics.samples, recording.passes) == (len(audio), passes)


@pytest.mark.parametrize("config", [PAPER, LOG], ids=lambda config: config.kind)
def test_numpy_and_torch_give_the_same_features(config: FeatureConfig) -> None:
    """Their FFTs round differently, by about 2^-23 of a frame's largest magnitude.

    So features within 38 dB of a frame's largest agree within 2^-23 x 80 = 1e-5 (a unit is 8.7 dB or more), and quieter
    ones within what that rounding is of them.
    """
    samples = speech_like(16000 * 3)
    one, other = extract(samples, config), extract(torch.from_numpy(samples), config).numpy()
    assert (one.dtype, one.shape) == (np.float32, other.shape)
    loud = other > other.max(0) - 38 / config.decibels_per_unit
    assert np.abs(one - other)[loud].max() < 1e-5
    assert np.abs(one - other).max() < 2e-4
