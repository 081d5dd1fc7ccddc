"""What the everyday verbs do without: in a process of its own, slow or optional packages cannot be imported."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.istft import IstftNetwork
from sqcodec.vocoder.vocoder_file import save_vocoder
from tests.conftest import speech_like

pytestmark = pytest.mark.slow

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in BLOCKED):
            raise RuntimeError(f"{name} was imported")

BLOCKED = sys.argv.pop(1).split(",")
sys.meta_path.insert(0, Blocked())
"""
COMMAND = f"{BLOCKED}\nfrom sqcodec.cli.main import main\nmain()"
# torch._dynamo: some calls of torch import it, which takes as long as importing torch
SLOW = (
    "librosa",
    "scipy",
    "torchaudio",
    "lightning",
    "lightning_fabric",
    "pyworld",
    "matplotlib",
    "jinja2",
    "PIL",
    "torch._dynamo",
)
STORE = ("soundfile", "soxr", "librosa", "pyworld")


def run(blocked: tuple[str, ...], code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, ",".join(blocked), *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture
def with_vocoder(workplace: Path) -> Path:
    """The workplace with an ISTFT vocoder beside its model: what decode takes where weights are found."""
    config = load_recipe(
        "istft", ("vocoder.dim=8", "vocoder.hidden=8", "vocoder.layers=1", "vocoder.lookahead=4")
    ).vocoder
    features = FEATURES["paper-mel"]
    (workplace / "runs/tiny/vocoder").mkdir()
    save_vocoder(
        workplace / "runs/tiny/vocoder/vocoder.safetensors",
        IstftNetwork(config, features), config=config, features=features, step=1, codec=None,
    )  # fmt: skip
    return workplace


def test_encode_and_decode_import_nothing_slow(with_vocoder: Path) -> None:
    for arguments in (("encode", "in.wav", "out.sqc"), ("decode", "out.sqc", "out.wav")):
        done = run(SLOW, COMMAND, *arguments)
        assert done.returncode == 0, done.stderr
    assert soundfile.info("out.wav").frames == 40_000


def test_a_rate_that_is_resampled_imports_nothing_slow(with_vocoder: Path) -> None:
    soundfile.write("in48.flac", speech_like(48_000, rate=48_000), 48_000)
    for arguments in (("encode", "in48.flac", "out.npy"), ("decode", "out.npy", "out.flac", "--rate", "48000")):
        done = run(SLOW, COMMAND, *arguments)
        assert done.returncode == 0, done.stderr
    assert soundfile.info("out.flac").frames == 48_000


def test_inspect_imports_no_torch(workplace: Path) -> None:
    assert run((), COMMAND, "encode", "in.wav", "out.sqc").returncode == 0
    done = run(("torch", "pydantic", "yaml", *SLOW), COMMAND, "inspect", "out.sqc")
    assert done.returncode == 0, done.stderr
    assert "codewords in use" in done.stdout


def test_blocked_modules_cannot_be_imported(workplace: Path) -> None:
    done = run(("torch",), COMMAND, "encode", "in.wav", "out.sqc")
    assert done.returncode != 0
    assert "RuntimeError: torch was imported" in done.stderr


def test_training_from_a_store_reads_no_sound(tmp_path: Path) -> None:
    for speaker in ("a", "b"):
        for number in range(3):
            path = tmp_path / "speech" / speaker / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, speech_like(16_000, seed=number).astype(np.float32), 16000)
    store = str(tmp_path / "store")
    made = run((), COMMAND, "prep", "folder", "--data", str(tmp_path / "speech"), "--out", store, "--jobs", "1")
    assert made.returncode == 0, made.stderr
    done = run(
        STORE, COMMAND, "train", "folder", "--features", store, "--out", str(tmp_path / "run"), "--device", "cpu",
        *(f"--set={each}" for each in ("train.steps=2", "train.batch=2", "train.frames=8", "train.milestones=[]",
                                       "train.evaluate_every=2", "train.save_every=2", "train.log_every=1",
                                       "network.channels=8", "network.gru=4", "network.speaker_dim=2",
                                       "quantizer.codewords=8", "quantizer.dim=2")),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()
