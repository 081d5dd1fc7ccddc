"""Training tiny vocoders: resume bit for bit, the collapse of a discriminator told, what cannot go on refused."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sqcodec.cli.train import _echo_vocoder
from sqcodec.errors import TrainingError
from sqcodec.pipeline.training.train_vocoder import train_vocoder
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES
from sqcodec.train.log import read_log
from sqcodec.vocoder.vocoder_file import load_vocoder
from sqcodec.vocoder.vocoder_header import read_header
from tests.train.vocoder.conftest import ISTFT, WORLD, make_sound_store

KINDS = {"istft": ISTFT, "world": WORLD}


def run(kind, store, folder, *overrides, resume=False, report=lambda entry: None):
    recipe = load_recipe(kind, (*KINDS[kind], *overrides))
    return train_vocoder(recipe, store, folder, device="cpu", resume=resume, report=report)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_leaves_vocoder_log_and_sound(kind, sound_store, tmp_path):
    entries = []
    done = run(kind, sound_store, tmp_path / "run", report=entries.append)
    assert done.step == 8
    names = {path.name for path in done.folder.iterdir()}
    assert names == {"vocoder.safetensors", "checkpoint.pt", "log.jsonl", "recipe.yaml", "tensorboard"}
    assert entries == read_log(done.folder / "log.jsonl")
    assert np.isfinite(done.figures["test_mel_distance"])
    header = read_header(done.folder / "vocoder.safetensors")
    assert (header.kind, header.step, header.features, header.codec) == (kind, 8, FEATURES["log-mel"], None)
    sound = load_vocoder(header.path, header.features).synthesise(torch.zeros(1, 80, 10))
    assert sound.shape == (1, 1520)
    assert sum(path.stat().st_size for path in (done.folder / "tensorboard").iterdir()) > 32000  # 2 s of sound


@pytest.mark.slow
def test_a_finished_training_writes_a_vocoder_that_was_removed(sound_store, tmp_path):
    path = run("istft", sound_store, tmp_path / "run", "vocoder.train.steps=1").folder / "vocoder.safetensors"
    before = path.read_bytes()
    path.unlink()
    run("istft", sound_store, tmp_path / "run", "vocoder.train.steps=1", resume=True)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_losses_are_logged_and_discriminators_join_late(sound_store, tmp_path):
    run("istft", sound_store, tmp_path / "run")
    early, late = (read_log(tmp_path / "run" / "log.jsonl")[place] for place in (0, -1))
    assert {"loss", "mel", "stft"} <= early.keys()
    joined = {"adversarial", "matching", "periods", "resolutions"}
    assert not joined & early.keys()
    assert joined | {"test_mel_distance", "test_pesq"} <= late.keys()
    weighted = 45 * late["mel"] + 10 * late["stft"] + late["adversarial"] + 2 * late["matching"]
    assert late["loss"] == pytest.approx(weighted, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_parts_resumed_are_the_whole_bit_for_bit(kind, sound_store, tmp_path):
    run(kind, sound_store, tmp_path / "whole")
    run(kind, sound_store, tmp_path / "parts", "vocoder.train.steps=5")
    run(kind, sound_store, tmp_path / "parts", resume=True)
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert set(whole["networks"]) == ({"generator", "discriminators"} if kind == "istft" else {"generator"})
    assert set(whole["optimizers"]) == set(whole["networks"])
    for part in ("networks", "average", "optimizers"):
        one, other = list(tensors(whole[part])), list(tensors(parts[part]))
        assert len(one) == len(other) > 0
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True)), part
    one, other = (load_file(tmp_path / name / "vocoder.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    logs = [read_log(tmp_path / name / "log.jsonl")[-1] for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def tensors(tree):
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors(value)


@pytest.mark.slow
def test_the_loss_falls(sound_store, tmp_path):
    for kind in KINDS:
        run(kind, sound_store, tmp_path / kind, "vocoder.train.steps=60", "vocoder.train.evaluate_every=60",
            "vocoder.train.learning_rate=1e-3")  # fmt: skip
        losses = [entry["loss"] for entry in read_log(tmp_path / kind / "log.jsonl") if "loss" in entry]
        assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:5]), kind


@pytest.mark.slow
def test_a_collapse_is_reported(sound_store, tmp_path, monkeypatch, capsys):
    entries = []
    run("istft", sound_store, tmp_path / "healthy", report=entries.append)
    assert not any("collapsed" in entry for entry in entries)
    assert 0.5 < entries[-1]["periods"] < 3  # far from COLLAPSED: two hinges that start at 1 each
    monkeypatch.setattr("sqcodec.train.vocoder.istft_trainer.COLLAPSED", 3.0)
    run("istft", sound_store, tmp_path / "sick", report=_echo_vocoder)
    loss = read_log(tmp_path / "sick" / "log.jsonl")[-1]["periods"]
    assert (
        f"step 8: the discriminators by periods have collapsed: with a loss of {loss:.4f} they separate all"
        " recordings from synthesised sound and give no gradient; lower vocoder.discriminators.learning_rate\n"
    ) in capsys.readouterr().err


def test_what_cannot_go_on_is_refused(sound_store, tmp_path):
    run("istft", sound_store, tmp_path / "run", "vocoder.train.steps=2")
    with pytest.raises(TrainingError, match="holds a training already: add `resume`"):
        run("istft", sound_store, tmp_path / "run")
    with pytest.raises(TrainingError, match="cannot resume, vocoder differ"):
        run("istft", sound_store, tmp_path / "run", "vocoder.dim=20", resume=True)
    with pytest.raises(TrainingError, match="there is no checkpoint to resume from"):
        run("istft", sound_store, tmp_path / "none", resume=True)
    paper = make_sound_store(tmp_path / "paper", kind="paper-mel")
    with pytest.raises(TrainingError, match="holds paper-mel features, recipe istft expects log-mel"):
        run("istft", paper, tmp_path / "other")
    recipe = load_recipe("folder")
    with pytest.raises(TrainingError) as caught:
        train_vocoder(recipe, sound_store, tmp_path / "gl", device="cpu", resume=False, report=lambda entry: None)
    assert str(caught.value) == (
        "recipe folder: its vocoder is griffin-lim, which needs no training; expected istft or world, as in the recipes"
        " of these names"
    )


def test_a_loss_that_is_not_finite_stops_the_training(sound_store, tmp_path):
    text = r"^the loss is not finite at step 2 \(mel nan, stft nan\): most often vocoder.train.learning_rate \(1e\+30\)"
    with pytest.raises(TrainingError, match=text):
        run("istft", sound_store, tmp_path / "run", "vocoder.train.learning_rate=1e30", "vocoder.train.clip=1e30")


def test_recordings_shorter_than_a_crop_are_named(tmp_path):
    store = make_sound_store(tmp_path / "short", lengths=(1600, 2000))
    with pytest.raises(TrainingError) as caught:
        run("istft", store, tmp_path / "run")
    assert str(caught.value) == (
        "no utterance of the training split has 18 frames or more (the longest has 13); lower vocoder.train.frames"
        " (stage joint: joint.vocoder.train.frames) or prepare longer recordings"
    )


@pytest.mark.slow
def test_without_any_discriminator_the_losses_of_the_spectra_are_all(sound_store, tmp_path):
    none = ("vocoder.discriminators.start=null", "vocoder.discriminators.periods.members=[]",
            "vocoder.discriminators.resolutions.members=[]")  # fmt: skip
    run("istft", sound_store, tmp_path / "whole", *none)
    run("istft", sound_store, tmp_path / "parts", *none, "vocoder.train.steps=5")
    run("istft", sound_store, tmp_path / "parts", *none, resume=True)
    run("istft", sound_store, tmp_path / "idle", "vocoder.discriminators.start=null")
    whole, parts, idle = (load_file(tmp_path / name / "vocoder.safetensors") for name in ("whole", "parts", "idle"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert all(torch.equal(whole[name], idle[name]) for name in whole)
