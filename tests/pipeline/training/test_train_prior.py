"""The stage `prior`: what it leaves, how it stops and resumes, what it refuses."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from sqcodec.errors import ModelError, StoppedError, TrainingError
from sqcodec.pipeline.training.train_prior import train_prior_of
from sqcodec.recipe import load_recipe
from sqcodec.train.log import read_log
from tests.conftest import make_model
from tests.train.conftest import make_store

SMALL = ("prior.layers=1", "prior.dim=16", "prior.heads=2", "prior.context=16", "prior.steps=8", "prior.batch=4",
         "prior.evaluate_every=4", "prior.warmup=2", "prior.dropout=0.1")  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A store, and the runs `run` and `whole` with one model."""
    make_store(tmp_path / "corpus")
    for name in ("run", "whole"):
        make_model(tmp_path / name / "model.safetensors", speakers=("s0", "s1"))
    return tmp_path


def train(work: Path, name: str, *, resume: bool = False, report=lambda entry: None):
    recipe = load_recipe("vctk", SMALL)
    return train_prior_of(recipe, work / "corpus" / "store", work / name, device="cpu", resume=resume, report=report)


def test_it_leaves_prior_checkpoint_log_and_pictures(work) -> None:
    entries = []
    done = train(work, "run", report=entries.append)
    assert done.path == work / "run" / "prior.safetensors"
    assert {path.name for path in (work / "run").iterdir()} == {"model.safetensors", "prior.safetensors", "prior"}
    folder = work / "run" / "prior"
    names = {"checkpoint.pt", "log.jsonl", "recipe.yaml", "tensorboard", "curves.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert read_log(folder / "log.jsonl") == entries
    assert [entry["step"] for entry in entries] == [4, 8]
    assert done.bits == entries[-1]["test_bits"]
    assert len(done.orders) == 3
    assert np.isfinite(done.orders).all()
    assert (folder / "curves.png").stat().st_size > 5000
    assert next((folder / "tensorboard").iterdir()).stat().st_size > 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_a_resume_is_the_whole(work, number) -> None:
    whole = train(work, "whole")

    def interrupt(entry) -> None:
        if entry["step"] == 4:
            os.kill(os.getpid(), number)

    with pytest.raises(StoppedError) as caught:
        train(work, "run", report=interrupt)
    assert str(caught.value) == (
        f"stopped at step 4 of 8, all saved in {work / 'run' / 'prior'};"
        " the same command with `resume` goes on from here"
    )
    assert (work / "run" / "prior.safetensors").is_file()
    assert train(work, "run", resume=True).bits == whole.bits
    weights = [load_file(work / name / "prior.safetensors") for name in ("whole", "run")]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    logs = [read_log(work / name / "prior" / "log.jsonl") for name in ("whole", "run")]
    assert logs[0] == logs[1]


def test_a_finished_training_writes_a_prior_that_was_removed(work) -> None:
    path = train(work, "run").path
    before = path.read_bytes()
    path.unlink()
    train(work, "run", resume=True)
    assert path.read_bytes() == before


def test_a_training_that_is_there_is_not_overwritten(work) -> None:
    with pytest.raises(TrainingError, match="there is no checkpoint to resume from; leave `resume` out"):
        train(work, "run", resume=True)
    train(work, "run")
    with pytest.raises(TrainingError) as caught:
        train(work, "run")
    assert str(caught.value) == (
        f"{work / 'run' / 'prior'} holds a training already: add `resume` to go on with it, or remove that folder to"
        " start another"
    )


def test_what_is_missing_is_named(work) -> None:
    with pytest.raises(ModelError, match=r"nowhere/model\.safetensors"):
        train(work, "nowhere")
    make_model(work / "strange" / "model.safetensors", speakers=("x", "y"))
    with pytest.raises(TrainingError, match="no utterance of the splits has a speaker of .*strange's model"):
        train(work, "strange")
    make_model(work / "vae" / "model.safetensors", "quantizer={kind: none, dim: 4}", speakers=("s0", "s1"))
    with pytest.raises(ModelError, match=r"vae/model.safetensors: a plain VAE \(quantizer.kind none\) has no codes"):
        train(work, "vae")
