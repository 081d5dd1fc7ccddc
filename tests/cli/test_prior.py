"""`sqcodec train --stage prior` and `sqcodec generate`."""

import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

import sqcodec
from tests.cli.runner import refused, run, trained
from tests.conftest import speech_like

SMALL = ("layers=1", "dim=16", "heads=2", "context=32", "steps=8", "batch=4", "evaluate_every=4", "warmup=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request) -> Path:
    """A run of the tiny recipe: a few steps of a model, a prior on its codes."""
    place = tmp_path_factory.mktemp("prior")
    arguments = trained(place, *(f"prior.{text}" for text in SMALL))
    result = run(*arguments, "--stage", "prior")
    assert result.exit_code == 0, result.output
    figures = r"(\d\.\d\d) bits per code on test; tables: order 0 \d\.\d\d, order 1 \d\.\d\d, order 2 \d\.\d\d"
    assert re.fullmatch(
        rf"{place}/run/prior.safetensors: {figures}\nNext: sqcodec generate OUT_DIR --model {place}/run\n",
        result.stdout,
    ), result.stdout
    assert "step 4/8: " in result.stderr
    return place


def train_prior(place: Path, run_folder: Path, *arguments: str):
    return run("train", "folder", "--stage", "prior", "--features", place / "store", "--out", run_folder, *arguments)


def test_a_prior_resumes_with_the_saved_recipe(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "run", tmp_path / "run")
    again = train_prior(folder, copy)
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: {copy}/prior holds a training already: add --resume to go on with it, or remove that folder to start"
        " another\n",
    )
    longer = train_prior(folder, copy, "--resume", "--set", "prior.steps=12")
    assert longer.exit_code == 0, longer.output
    begins, *steps = longer.stderr.splitlines()
    assert begins.startswith(f"{copy}/prior: steps 9 to 12 on cpu, features ")
    assert [line.partition(":")[0] for line in steps] == ["step 12/12"]
    assert longer.stdout.startswith(f"{copy}/prior.safetensors: ")
    recipe = yaml.safe_load((copy / "prior" / "recipe.yaml").read_text("utf-8"))["prior"]
    assert (recipe["steps"], recipe["dim"]) == (12, 16)
    none = train_prior(folder, tmp_path / "none", "--resume")
    assert none.exit_code == 1


def test_sigterm_saves_a_prior_and_names_resume(folder: Path, tmp_path: Path, monkeypatch) -> None:
    copy = shutil.copytree(folder / "run", tmp_path / "run", ignore=shutil.ignore_patterns("prior*"))
    options = [part for text in SMALL for part in ("--set", f"prior.{text}")]
    with monkeypatch.context() as patch:
        patch.setattr("sqcodec.cli.train._echo_prior", lambda entry, steps: os.kill(os.getpid(), signal.SIGTERM))
        stopped = train_prior(folder, copy, *options)
    assert (stopped.exit_code, stopped.stderr.partition("store\n")[2]) == (
        1,
        f"Error: stopped at step 4 of 8, all saved in {copy}/prior; the same command with --resume goes on from here\n",
    )
    resumed = train_prior(folder, copy, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert (copy / "prior.safetensors").read_bytes() == (folder / "run" / "prior.safetensors").read_bytes()


def test_generate_writes_recordings(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--model", folder / "run", "--seconds", "1.5", "--number", "2")
    result = run("generate", "out", *options)
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"out/0001.wav: 1\.50 s, speaker p22\d\nout/0002.wav: 1\.50 s, speaker p22\d\n", result.stdout)
    assert [soundfile.info(f"out/000{number}.wav").frames for number in (1, 2)] == [24_000, 24_000]
    assert Path("out/0001.wav").read_bytes() != Path("out/0002.wav").read_bytes()
    assert run("generate", "again", *options).exit_code == 0
    assert Path("again/0002.wav").read_bytes() == Path("out/0002.wav").read_bytes()
    assert run("generate", "other", *options, "--seed", "1").exit_code == 0
    assert Path("other/0002.wav").read_bytes() != Path("out/0002.wav").read_bytes()


def test_generate_continues_a_prompt(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like(30_000), 16000)
    seen, decode = [], sqcodec.Codec.decode_blocks
    monkeypatch.setattr(sqcodec.Codec, "decode_blocks", lambda self, codes: seen.append(codes) or decode(self, codes))
    options = ("--model", folder / "run", "--seconds", "1", "--number", "1", "--speaker", "p226")
    result = run("generate", "out", *options, "--prompt", "in.wav")
    assert result.exit_code == 0, result.output
    assert soundfile.info("out/0001.wav").frames == 46_000
    prompt = sqcodec.load(folder / "run").encode(soundfile.read("in.wav", dtype="float32")[0], 16000, speaker="p226")
    assert np.array_equal(seen[0].indices[:, :94], prompt.indices)
    assert (seen[0].indices.shape, seen[0].gain, seen[0].speaker) == ((1, 144), prompt.gain, "p226")


def test_generate_refuses(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder = folder / "run"
    assert refused("generate", "out", "--model", run_folder, "--speaker", "p1").startswith(
        "Error: speaker 'p1': unknown"
    )
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "model.safetensors").write_bytes((run_folder / "model.safetensors").read_bytes())
    assert refused("generate", "out", "--model", "bare") == (
        "Error: bare/prior.safetensors: there is no prior; 'sqcodec train RECIPE --stage prior' makes one\n"
    )
    (tmp_path / "bare" / "prior.safetensors").write_bytes(b"junk")
    assert refused("generate", "out", "--model", "bare").startswith(
        "Error: bare/prior.safetensors: not a prior of sqcodec"
    )
    assert "Invalid value for '--top-p'" in refused("generate", "out", "--top-p", "2", exit_code=2)


def test_a_prior_of_other_codes_is_refused(folder: Path, tmp_path: Path, monkeypatch) -> None:
    from tests.conftest import make_model

    monkeypatch.chdir(tmp_path)
    model = make_model(tmp_path / "other" / "model.safetensors")
    (tmp_path / "other" / "prior.safetensors").write_bytes((folder / "run" / "prior.safetensors").read_bytes())
    text = refused("generate", "out", "--model", "other")
    assert text.startswith("Error: other/prior.safetensors: a prior for the codes ")
    assert f", got a model with {model.fingerprint}; train it again" in text


def test_a_recipe_without_a_prior_says_so(folder: Path, tmp_path: Path) -> None:
    recipe = yaml.safe_load((folder / "run" / "recipe.yaml").read_text("utf-8"))
    del recipe["prior"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    result = run("train", tmp_path, "--stage", "prior", "--features", folder / "store", "--out", folder / "run")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: recipe folder has no section 'prior'; recipes/vctk shows one\n",
    )


def test_a_silent_prompt_is_gone_on_with_at_a_level(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", np.zeros((16_000, 2)), 16000)
    options = ("--model", folder / "run", "--seconds", "1", "--number", "2", "--speaker", "p226")
    done = run("generate", "out", *options, "--prompt", "in.wav")
    assert (done.exit_code, done.stderr) == (0, "in.wav: 2 channels were mixed down to one\n")
    assert np.abs(soundfile.read("out/0001.wav")[0][16_000:]).max() > 0
