"""`sqcodec train` on a tiny store."""

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
