"""Models small enough to make in a moment, and recordings, for the tests of every room."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import threadpoolctl
import torch

from sqcodec.cli import progress
from sqcodec.features.mel import extract
from sqcodec.model.assembly import build_codec
from sqcodec.model.model_file import save_model
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.finding import models, shipped, vocoders
from sqcodec.recipe import load_recipe

threadpoolctl.threadpool_limits(1)  # as workers do: sums of several threads differ in the last digit

TINY = (
    "network.channels=16", "network.gru=8", "network.speaker_dim=4", "quantizer.codewords=16", "quantizer.dim=4",
    "vocoder.iterations=2",
)  # fmt: skip
SPEAKERS = ("p225", "p226", "s5")


def make_model(path: Path, *overrides: str, seed: int = 0, speakers: tuple[str, ...] = SPEAKERS) -> SpectrogramCodec:
    """Save a model that was never trained, but whose normalisation fits speech and whose codes vary."""
    torch.manual_seed(seed)
    codec = build_codec(load_recipe("vctk", (*TINY, *overrides)), speakers)
    features = extract(torch.from_numpy(speech_like(32_000)), codec.features)
    with torch.no_grad():
        for _ in range(50):  # running means of BatchNorm
            codec.encoder(features[None])
        codec.encoder.layers[-1].weight[: codec.recipe.quantizer.dim] *= 8  # latents as far apart as the codewords
    codec.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, codec, 7)
    return codec


def speech_like(samples: int, *, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """[samples] float32: a gliding harmonic tone with pauses and a little noise; peak near 0.6."""
    time = np.arange(samples) / rate
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * time)) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    envelope = np.clip(np.sin(2 * np.pi * 1.3 * time) + 0.3, 0, 1)
    noise = np.random.default_rng(seed).normal(size=samples) * 1e-3
    return (0.3 * tone * envelope + noise).astype(np.float32)


@pytest.fixture(autouse=True)
def no_lines_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command prints must not depend on how busy the machine is; tests/cli/test_progress.py tests the lines."""
    monkeypatch.setattr(progress, "_FIRST", 3600.0)


@pytest.fixture(autouse=True)
def nothing_ships(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hide the weights that ship, so that tests find their own; but for tests marked `ships`, which are about them."""
    if request.node.get_closest_marker("ships"):
        return
    nowhere = tmp_path_factory.getbasetemp() / "nothing-ships"
    for user in (models, vocoders, shipped):
        monkeypatch.setattr(user, "SHIPPED", nowhere)


@pytest.fixture(scope="session")
def made_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of three speakers, made once; tests get copies, which they may change."""
    path = tmp_path_factory.mktemp("made") / "model.safetensors"
    make_model(path)
    return path


def copy_model(made: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)  # a test draws the same whether the model was made for it or before
    return Path(shutil.copyfile(made, path))


@pytest.fixture
def tiny_model(tmp_path: Path, made_model: Path) -> Path:
    """The file of a tiny model of three speakers."""
    return copy_model(made_model, tmp_path / "models" / "model.safetensors")


@pytest.fixture
def workplace(tmp_path: Path, made_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with runs/tiny/model.safetensors, in.wav (2.5 s) and no SQCODEC_MODEL."""
    folder = tmp_path / "work"
    copy_model(made_model, folder / "runs" / "tiny" / "model.safetensors")
    soundfile.write(folder / "in.wav", speech_like(40_000), 16000)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    return folder


def golden_maker(name: str) -> ModuleType:
    """A program of tests/golden, whose name is no module's."""
    path = Path(__file__).parent / "golden" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
