"""Models that packages carry: DistillMOS, PocketSphinx, and the speaker encoder of resemblyzer."""

import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from sqcodec.errors import MetricError
from sqcodec.metrics import distillmos, external, recogniser, speaker_encoder
from tests.conftest import speech_like

CLEAN = speech_like(32000)
NOISE = (0.1 * np.random.default_rng(3).normal(size=32000)).astype(np.float32)
SPEECH = Path(__file__).parents[2] / "recipes" / "tiny" / "speech" / "2019" / "english" / "test"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A package `resemblyzer` with random weights in the form of its own file; its code must not be imported."""
    package = tmp_path / "resemblyzer"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    torch.manual_seed(0)
    network = torch.nn.ModuleDict(
        {"lstm": torch.nn.LSTM(40, 256, 3, batch_first=True), "linear": torch.nn.Linear(256, 256)}
    )
    state = {**network.state_dict(), "similarity_weight": torch.ones(1)}
    torch.save({"step": 1, "model_state": state}, package / "pretrained.pt")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "resemblyzer", raising=False)
    speaker_encoder._network.cache_clear()
    yield network
    speaker_encoder._network.cache_clear()


def recording():
    """A synthetic voice that says a sentence, below 7.68 s."""
    sound, rate = soundfile.read(SPEECH / "S021_0000000003.flac", dtype="float32")
    assert rate == 16000
    return sound[:100_000]


def embedding(network, windows):
    """Of power mel spectra [W, 160, 40], by the definition."""
    _, (hidden, _) = network["lstm"](torch.from_numpy(np.stack(windows)))
    raw = network["linear"](hidden[-1]).relu()
    mean = (raw / raw.norm(dim=1, keepdim=True)).mean(0)
    return (mean / mean.norm()).detach().numpy()


@pytest.mark.parametrize(
    "seconds", [0.5, *(pytest.param(seconds, marks=pytest.mark.slow) for seconds in (1.0, 2.0, 3.1))]
)
def test_embeddings_are_those_of_the_weights_on_librosas_mel(weights, seconds) -> None:
    signal = speech_like(int(16000 * seconds))
    signal *= np.float32(0.1 / np.sqrt(np.mean(signal**2)))  # louder than -30 dB: stays as it is
    starts = {0.5: [0], 1.0: [0], 2.0: [0, 77], 3.1: [0, 77, 154]}[
        seconds
    ]  # the last window is covered by 75 % or more
    covered = [start for start in starts if start == 0 or len(signal) / 160 - start >= 120]
    padded = np.pad(signal, (0, max(0, (covered[-1] + 160) * 160 - len(signal))))
    mel = librosa.feature.melspectrogram(y=padded, sr=16000, n_fft=400, hop_length=160, n_mels=40, pad_mode="constant")
    expected = embedding(weights, [mel.T[start : start + 160].astype(np.float32) for start in covered])
    # float32 spectra and 160 recurrent steps
    np.testing.assert_allclose(speaker_encoder.embed(signal), expected, atol=2e-4)


def test_quiet_recordings_are_raised_to_one_level(weights) -> None:
    quiet, quieter = CLEAN * 1e-2, CLEAN * 1e-3
    np.testing.assert_allclose(speaker_encoder.embed(quiet), speaker_encoder.embed(quieter), atol=1e-4)


@pytest.mark.slow
def test_similarity_by_name(weights) -> None:
    assert external.similarity(CLEAN, CLEAN, "resemblyzer") == pytest.approx(1.0, abs=1e-6)
    assert external.similarity(CLEAN, NOISE, "resemblyzer") < 1 - 1e-6  # random weights tell little apart


def test_damaged_weights_are_an_error(weights, tmp_path) -> None:
    (tmp_path / "resemblyzer" / "pretrained.pt").write_bytes(b"no weights")
    with pytest.raises(MetricError, match=r"pretrained.pt: cannot be read .* install resemblyzer anew"):
        speaker_encoder.embed(CLEAN)


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setattr(speaker_encoder, "PACKAGE", "no_such_package")
    speaker_encoder._network.cache_clear()
    with pytest.raises(MetricError, match="pip install --no-deps no_such_package"):
        speaker_encoder.embed(CLEAN)
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MetricError, match=r"needs the package pocketsphinx: install sqcodec\[eval\]"):
        recogniser.transcribe(CLEAN)
    monkeypatch.setitem(sys.modules, "distillmos", None)
    with pytest.raises(MetricError, match=r"needs the package distillmos: install sqcodec\[eval\]"):
        distillmos.distillmos(CLEAN)


@pytest.mark.slow
def test_distillmos_of_a_long_recording_is_that_of_its_pieces(monkeypatch) -> None:
    """All windows at once would take gigabytes."""
    pytest.importorskip("distillmos", reason="the eval extra is not installed")
    sound = speech_like(48_000)
    halves = [distillmos.distillmos(half) for half in np.split(sound, 2)]
    monkeypatch.setattr(distillmos, "_LONGEST", 32_000)
    assert distillmos.distillmos(sound) == pytest.approx(np.mean(halves), abs=1e-6)


@pytest.mark.slow
def test_distillmos_is_the_packages_figure_and_prints_nothing(capsys) -> None:
    package = pytest.importorskip("distillmos", reason="the eval extra is not installed")
    speech = recording()
    network = package.ConvTransformerSQAModel().eval()
    capsys.readouterr()
    with torch.no_grad():
        expected = network(torch.from_numpy(speech)[None]).item()
    assert distillmos.distillmos(speech) == expected
    assert distillmos.evaluate(NOISE, speech) == {"distillmos": expected}
    assert capsys.readouterr().out == ""
    assert 1.0 <= expected <= 5.0
    padded = np.concatenate([speech, np.zeros(122_880 - len(speech), np.float32)])  # zeros fill a short recording
    assert distillmos.distillmos(padded) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(MetricError, match="too short"):
        distillmos.distillmos(CLEAN[:1000])


@pytest.mark.slow
def test_pocketsphinx_hears_words(tmp_path) -> None:
    pytest.importorskip("pocketsphinx", reason="the eval extra is not installed")
    words = external.transcribe(recording(), "pocketsphinx")
    assert len(words.split()) >= 2
    assert words == words.lower()
    recogniser.transcribe(NOISE)
    assert recogniser.transcribe(recording()) == words  # nothing is kept from one recording to the next
    assert recogniser.transcribe(np.zeros(100, np.float32)) == ""


@pytest.mark.slow
def test_nothing_of_this_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, sqcodec.metrics.external; print([n for n in ('pocketsphinx', 'distillmos') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
