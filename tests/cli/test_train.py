"""`sqcodec train` on a tiny store."""

import os
import re
import signal

from click.testing import CliRunner

from sqcodec.cli.main import main
from tests.train.conftest import SMALL, make_store


def invoke(*arguments):
    overrides = [part for value in SMALL for part in ("--set", value)]
    return CliRunner().invoke(main, ["train", "zerospeech2019", *overrides, "--device", "cpu", *map(str, arguments)])


def test_train_says_what_it_did_and_how_to_go_on(tmp_path):
    store, run = make_store(tmp_path / "corpus"), tmp_path / "run"
    result = invoke("--features", store, "--out", run, "--seed", 3)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{run}: step 20, test MSE ")
    assert lines[1:] == [
        f"Pictures: {run / 'curves.png'}, {run / 'spectrograms.png'}",
        f"Next: sqcodec encode in.wav codes.npy --model {run}",
    ]
    assert "step 20/20: loss " in result.stderr
    assert "seed: 3" in (run / "recipe.yaml").read_text()
    again = invoke("--features", store, "--out", run, "--seed", 3)
    assert again.exit_code == 1
    assert again.stderr == (
        f"Error: {run} holds a training already: add --resume to go on with it, or --out DIR to start another\n"
    )
    resumed = invoke("--features", store, "--out", run, "--seed", 3, "--resume", "--set", "train.steps=25")
    assert resumed.exit_code == 0
    assert "step 25" in resumed.stdout
    # without any --set, a training goes on with the recipe it was begun with
    command = ["train", "zerospeech2019", "--features", str(store), "--out", str(run), "--resume", "--device", "cpu"]
    finished = CliRunner().invoke(main, command)
    assert finished.exit_code == 0, finished.output
    assert "step 25" in finished.stdout
    assert "seed: 3" in (run / "recipe.yaml").read_text()
    assert (run / "model.safetensors").stat().st_mode & 0o044


def test_without_a_store_the_error_names_the_folder_and_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke()
    assert result.exit_code == 1
    assert "data/zerospeech2019" in result.stderr
    assert "sqcodec prep" in result.stderr


def test_wrong_overrides_are_named(tmp_path):
    result = invoke("--set", "train.stepps=3")
    assert result.exit_code == 1
    assert "train.stepps: unknown key (got 3); remove it, or mind the spelling" in result.stderr


def test_a_signal_saves_and_the_text_says_how_to_go_on(tmp_path, monkeypatch):
    store, run = make_store(tmp_path / "corpus"), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("sqcodec.cli.train._tell", lambda entry, steps: os.kill(os.getpid(), signal.SIGTERM))
        result = invoke("--features", store, "--out", run)
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: stopped at step 5 of 20, all saved in {run}; the same command with --resume goes on from here\n",
    )
    assert invoke("--features", store, "--out", run, "--resume").exit_code == 0


def test_a_loss_that_is_not_finite_stops_with_step_and_cause(tmp_path):
    store = make_store(tmp_path / "corpus")
    result = invoke("--features", store, "--out", tmp_path / "run", "--set", "train.learning_rate=1e30")
    assert result.exit_code == 1
    assert re.match(
        r"Error: the loss is not finite at step \d+ \(reconstruction .*\): most often train.learning_rate \(1e\+30\) is"
        r" too high. Change it with --set and train again\n$",
        result.stderr,
    )


def test_resume_without_a_checkpoint_and_a_device_that_is_not_there(tmp_path):
    store, run = make_store(tmp_path / "corpus"), tmp_path / "run"
    result = invoke("--features", store, "--out", run, "--resume")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {run / 'checkpoint.pt'}: there is no checkpoint to resume from;"
        " leave --resume out to start a training\n",
    )
    result = invoke("--features", store, "--out", run, "--device", "tpu")
    assert (result.exit_code, result.stderr) == (1, "Error: device 'tpu': expected auto, cpu, cuda or cuda:N\n")
