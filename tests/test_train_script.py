"""bin/train-speech16k, from the speech that ships to files that code: small networks, a few steps."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.vocoder.vocoder_file import read_header

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SPEECH = ROOT / "recipes" / "tiny" / "speech" / "VCTK-Corpus-0.92" / "wav48_silence_trimmed"
SHORT = (
    "train.steps=6", "train.batch=2", "train.frames=32", "train.evaluate_every=6", "train.milestones=[4]",
    "quantizer.codewords=16", "quantizer.dim=8", "quantizer.stages=4", "quantizer.warmup=2", "quantizer.settled=4",
    "network.dim=16", "network.hidden=32", "vocoder.dim=16", "vocoder.hidden=32", "vocoder.layers=2",
    "vocoder.train.steps=3", "vocoder.train.batch=2", "vocoder.train.frames=40", "vocoder.train.evaluate_every=3",
    "vocoder.train.evaluate_files=1",
)  # fmt: skip


def train(folder: Path) -> "subprocess.CompletedProcess[str]":
    words = [word for change in SHORT for word in ("--set", change)]
    command = [sys.executable, ROOT / "bin" / "train-speech16k", SPEECH, "--out", "models", "--device", "cpu", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_from_speech_to_what_ships(tmp_path: Path) -> None:
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "models").rglob("*.safetensors"))
    assert [str(path.relative_to(tmp_path / "models")) for path in files] == [
        "istft/vocoder/vocoder.safetensors",
        "speech16k/model.safetensors",
        "speech16k/vocoder/vocoder.safetensors",
    ]
    codec = open_codec(files[1], "cpu")
    assert codec.fingerprint == read_header(files[2]).codec
    samples = soundfile.read(next(SPEECH.rglob("*_mic1.flac")), dtype="float32", stop=30_000)[0]
    decoded = codec.decode(codec.encode(samples, codebooks=2), vocoder=str(files[2]))
    assert len(decoded) == 30_000
    assert np.isfinite(decoded).all()
    again = train(tmp_path)  # everything is there: nothing is trained
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("$ sqcodec") == 1
