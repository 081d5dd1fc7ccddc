"""`sqcodec train --stage context`, and codes files that the context model codes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sqcodec
from sqcodec.model.model_header import read_header
from sqcodec.recipe import load_recipe
from tests.cli.runner import run, trained
from tests.conftest import speech_like

SMALL = ("hidden=12", "width=8", "frames=16", "batch=4", "steps=8", "evaluate_every=4", "warmup=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run of the folder recipe: a few steps of a model, a context model of its codes."""
    place = tmp_path_factory.mktemp("context")
    arguments = trained(place, *(f"context.{text}" for text in SMALL))
    shutil.copy(place / "run" / "model.safetensors", place / "before.safetensors")
    (place / "run" / "joint").mkdir()
    shutil.copy(place / "before.safetensors", place / "run" / "joint" / "model.safetensors")
    result = run(*arguments, "--stage", "context")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(
        rf"{place}/run/model.safetensors: \d\.\d\d bits per code on test, \d\.\d\d by the tables, 4 at fixed width\n"
        rf"Note: it learned too little, files are smaller without it; remove {place}/run/model.safetensors and"
        rf" {place}/run/context, and 'sqcodec train' with --resume writes the former anew\n"
        rf"Next: sqcodec encode in.wav out.sqc --model {place}/run\n",
        result.stdout,
    ), result.stdout
    assert re.search(r"step 4/8: \d\.\d\d bits per symbol, \d\.\d\d per frame on test", result.stderr)
    return place


def test_the_model_keeps_its_fingerprint_and_reads_its_older_files(folder: Path, tmp_path: Path) -> None:
    before, after = folder / "before.safetensors", folder / "run" / "model.safetensors"
    assert read_header(before).fingerprint == read_header(after).fingerprint
    assert (read_header(before).format, read_header(after).format) == (4, 5)
    wav = folder / "speech" / "p225" / "0.wav"
    for name, model in (("old.sqc", before), ("old.npy", before), ("new.sqc", after)):
        assert run("encode", wav, tmp_path / name, "--model", model).exit_code == 0
        done = run("decode", tmp_path / name, tmp_path / f"{name}.wav", "--model", after)
        assert done.exit_code == 0, done.output
    sounds = [soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("old.sqc", "old.npy", "new.sqc")]
    assert np.array_equal(sounds[0], sounds[2])
    assert sounds[0].shape == sounds[1].shape


def test_later_stages_read_files_of_it(folder: Path, tmp_path: Path) -> None:
    wav, later = folder / "speech" / "p225" / "0.wav", folder / "run" / "joint"
    assert run("encode", wav, tmp_path / "a.sqc", "--model", folder / "run").exit_code == 0
    assert run("decode", tmp_path / "a.sqc", tmp_path / "a.wav", "--model", later).exit_code == 0


def test_inspect_says_what_a_file_is_coded_with(folder: Path, tmp_path: Path) -> None:
    wav, run_folder = folder / "speech" / "p226" / "1.wav", folder / "run"
    assert run("encode", wav, tmp_path / "a.sqc", "--model", run_folder).exit_code == 0
    shown = run("inspect", tmp_path / "a.sqc", "--model", run_folder)
    assert ".sqc version 2" in shown.output
    assert "coded with the context model" in shown.output
    content = json.loads(run("inspect", tmp_path / "a.sqc", "--model", run_folder, "--json").output)
    assert (content["coder"], content["tables"]) == ("context", False)


@pytest.mark.parametrize("resumed", [("--resume",), ()])
def test_a_context_model_is_never_replaced(folder: Path, resumed: tuple[str, ...]) -> None:
    again = run(
        "train", "folder", "--stage", "context", "--features", folder / "store", "--out", folder / "run", *resumed
    )
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: {folder}/run/model.safetensors: has a context model, which files may have been written with; to train"
        " another, copy the run folder, remove context and model.safetensors from the copy, and train it with --resume,"
        " which writes that file anew\n",
    )


@pytest.mark.slow
def test_a_second_context_model_is_trained_as_the_error_says(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "context")
    (tmp_path / "run" / "model.safetensors").unlink()
    words = ("train", "folder", "--features", folder / "store", "--out", tmp_path / "run")
    assert run(*words, "--resume").exit_code == 0
    assert read_header(tmp_path / "run" / "model.safetensors").context is None
    small = (part for text in (*SMALL, "seed=1") for part in ("--set", f"context.{text}"))
    assert run(*words, "--stage", "context", *small).exit_code == 0
    one, other = (read_header(path / "run" / "model.safetensors") for path in (folder, tmp_path))
    assert one.fingerprint == other.fingerprint
    assert one.context != other.context is not None


def test_a_codec_with_a_context_model_does_not_go_on_learning(folder: Path, tmp_path: Path) -> None:
    """Its files would lose the model that they were coded with."""
    shutil.copytree(folder / "run", tmp_path / "run")
    words = ("train", "folder", "--features", folder / "store", "--out", tmp_path / "run", "--resume", "--set")
    steps = read_header(tmp_path / "run" / "model.safetensors").step + 1
    again = run(*words, f"train.steps={steps}")
    assert again.exit_code == 1
    assert (
        f"{tmp_path}/run/model.safetensors: has a context model, which files may have been written with" in again.stderr
    )
    assert read_header(tmp_path / "run" / "model.safetensors").context is not None
    (tmp_path / "run" / "model.safetensors").unlink()  # as it says, in a copy
    assert run(*words, f"train.steps={steps}").exit_code == 0
    header = read_header(tmp_path / "run" / "model.safetensors")
    assert (header.step, header.context) == (steps, None)


def test_there_must_be_something_to_resume_before_codes_are_sought(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run", ignore=shutil.ignore_patterns("context", "codes"))
    shutil.copy(folder / "before.safetensors", tmp_path / "run" / "model.safetensors")
    words = ("train", "folder", "--features", folder / "store", "--out", tmp_path / "run", "--stage", "context")
    result = run(*words, "--resume")
    assert (result.exit_code, "there is no checkpoint to resume from" in result.stderr) == (1, True)
    assert not (tmp_path / "run" / "codes").exists()


def test_a_recipe_without_the_section_is_refused(folder: Path, tmp_path: Path) -> None:
    result = run("train", "istft", "--stage", "context", "--out", tmp_path)
    assert result.exit_code == 1
    assert "has no codec" in result.stderr


def test_python_reads_and_writes_version_2(folder: Path) -> None:
    codec = sqcodec.load(folder / "run")
    codes = codec.encode(speech_like(16000 * 12), 16000, speaker="p225")
    content = codec.pack(codes)
    assert content[3] >> 4 == 2
    assert np.array_equal(codec.unpack(content).indices, codes.indices)


RESIDUAL = (
    "quantizer={kind: residual, stages: 3, codewords: 16, dim: 4, initial_variance: 1.0, ratio: 0.5, dropout: 0.5,"
    " warmup_steps: 0, freeze_step: 3}"
)


@pytest.mark.slow
def test_a_model_of_stages_goes_on_with_searched_codes(tmp_path: Path) -> None:
    """A second part with the codes that the first one's bits find, kept in a file; it resumes to the same integers."""
    small = (
        *(f"context.{text}" for text in SMALL),
        "context.searched={steps: 8, learning_rate: 1.0e-2, part: 0.5, share: 0.7}",
    )
    arguments = trained(tmp_path, RESIDUAL, *small)
    model, folder = tmp_path / "run" / "model.safetensors", tmp_path / "run" / "context" / "searched"
    shutil.copy(model, tmp_path / "before.safetensors")
    result = run(*arguments, "--stage", "context")
    assert result.exit_code == 0, result.output
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [4, 8]
    assert all(0 < entry["test_bits_searched"] < 13 for entry in log)
    assert (folder / "curves.png").is_file()
    expected, kept = read_header(model).context, sorted(folder.glob("*.npz"))
    assert len(kept) == 2
    with np.load(next(path for path in kept if path.name.startswith("train"))) as searched:
        stages, codes = searched["stages"], searched["codes"]
        assert searched["lengths"].sum() == len(stages) == len(codes)
    assert (stages.min(), stages.max()) == (1, 3)
    assert (codes[np.arange(3) >= stages[:, None]] == 0).all()
    shutil.copy(tmp_path / "before.safetensors", model)
    (folder / "checkpoint.pt").unlink()
    made = [path.stat().st_mtime_ns for path in kept]
    again = run(*arguments, "--stage", "context", "--resume")
    assert again.exit_code == 0, again.output
    assert read_header(model).context == expected
    assert [path.stat().st_mtime_ns for path in kept] == made
    shutil.copy(tmp_path / "before.safetensors", model)  # as if it had ended before the model file got it
    assert run(*arguments, "--stage", "context", "--resume").exit_code == 0
    assert read_header(model).context == expected
    shutil.copy(tmp_path / "before.safetensors", model)
    (folder.parent / "checkpoint.pt").unlink()  # the second part alone is left
    refused = run(*arguments, "--stage", "context")
    assert refused.exit_code == 1
    assert f"{folder} holds a training already" in refused.stderr


def test_searched_codes_need_stages(tmp_path: Path) -> None:
    result = run("train", "folder", "--stage", "context", "--out", tmp_path, "--set",
                 "context.searched={steps: 8, learning_rate: 1.0e-2, part: 0.5}")  # fmt: skip
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: recipe folder: context.searched needs quantizer.kind residual, whose stages are searched over; --set"
        " context.searched=null leaves it out\n",
    )


def test_another_quantiser_may_take_the_place_of_the_stages() -> None:
    """`compare` and `train` load the recipe with one: what needs stages is refused where it runs."""
    recipe = load_recipe(
        "speech16k", ("quantizer={kind: gaussian, variance: I, codewords: 64, dim: 64, initial_variance: 1.0}",)
    ).codec
    assert recipe.context.searched is not None
