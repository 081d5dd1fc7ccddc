"""Which model is used when none is named: on the command line, and in a program. What ships is in place."""

import os
from pathlib import Path

import pytest

import sqcodec
from sqcodec.errors import ModelError
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.finding import models
from sqcodec.pipeline.finding.code_spaces import names_of
from sqcodec.pipeline.finding.models import SHIPPED, find_for_encoding, find_for_programs, model_name, resolve
from tests.conftest import copy_model, make_model

pytestmark = pytest.mark.ships

SHIPS = SHIPPED / "speech16k" / "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no SQCODEC_MODEL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    return tmp_path


def test_what_ships_has_a_name_with_its_version(folder: Path) -> None:
    assert models.resolve("speech16k-2") == models.resolve("speech16k") == SHIPS
    assert models.versioned_name(SHIPS) == "speech16k-2"
    own = copy_model(SHIPS, Path("runs/speech16k/model.safetensors"))
    assert models.versioned_name(own) == "runs/speech16k"
    assert models.resolve("speech16k-2") == SHIPS  # a run of the other name does not stand for it
    with pytest.raises(ModelError, match="'speech16k-9': no such file"):
        models.resolve("speech16k-9")


def test_both_receivers_decode_the_same_files(folder: Path) -> None:
    live = SHIPPED / "speech16k-live" / "model.safetensors"
    assert models.resolve("speech16k-live-2") == models.resolve("speech16k-live") == live
    for name in (one := names_of(read_header(SHIPS))):
        assert models.find_for_decoding(name, None).path == SHIPS
        assert models.find_for_decoding(name, "speech16k-live").path == live
    assert one == names_of(read_header(live))


def trained(made: Path, name: str, *, age: int) -> Path:
    """A model under runs/ that is `age` seconds old."""
    path = copy_model(made, Path("runs") / name / "model.safetensors")
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_what_ships_is_used_where_nothing_was_trained(folder: Path) -> None:
    assert find_for_encoding(None) == (SHIPS, "which ships")
    assert find_for_encoding(None).note == "model speech16k, which ships"


def test_the_newest_that_was_trained_here_wins_over_what_ships(folder: Path, made_model: Path) -> None:
    trained(made_model, "old", age=20)
    newest = trained(made_model, "new", age=10)
    trained(made_model, "compare-vctk/sq-IV/seed0", age=0)
    expected = (newest, "trained here; `model` speech16k is the one that ships")
    assert find_for_encoding(None) == expected
    assert find_for_encoding(None).note == f"model runs/new, {expected[1]}"


def test_a_program_takes_what_ships_in_every_folder(folder: Path, made_model: Path) -> None:
    trained(made_model, "new", age=0)
    assert find_for_programs(None) == (SHIPS, "which ships")
    assert sqcodec.load().path == SHIPS
    assert find_for_programs("new").path == Path("runs/new/model.safetensors")


def test_a_training_that_is_not_finished_is_passed_over(folder: Path, made_model: Path) -> None:
    finished = trained(made_model, "finished", age=20)
    stopped = trained(made_model, "stopped", age=10)  # step 7 of the recipe's 500,000
    stopped.with_name("checkpoint.pt").write_bytes(b"")
    assert find_for_encoding(None).path == finished
    finished.unlink()
    assert find_for_encoding(None) == (SHIPS, "which ships; runs/stopped is not finished (step 7 of 500000)")


def test_a_model_without_codes_is_passed_over(folder: Path) -> None:
    make_model(Path("runs/vae/model.safetensors"), "quantizer={kind: none, dim: 4}")
    assert find_for_encoding(None) == (SHIPS, "which ships; runs/vae has no codes (a plain VAE)")


def test_a_broken_file_is_passed_over(folder: Path) -> None:
    Path("runs/x").mkdir(parents=True)
    Path("runs/x/model.safetensors").write_bytes(b"no model")
    assert find_for_encoding(None) == (SHIPS, "which ships; runs/x holds no model that can be read")


def test_the_environment_wins(folder: Path, made_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(made_model, "new", age=0)
    monkeypatch.setenv("SQCODEC_MODEL", "speech16k")
    for found in (find_for_encoding(None), find_for_programs(None)):
        assert found == (SHIPS, "named by SQCODEC_MODEL")
    assert find_for_encoding("new") == (Path("runs/new/model.safetensors"), "")


def test_a_run_of_the_name_of_what_ships(folder: Path, made_model: Path) -> None:
    trained(made_model, "speech16k", age=0)
    assert find_for_encoding(None).reason == "trained here; `model` speech16k is the one that ships"
    assert model_name(find_for_encoding(None).path) == "runs/speech16k"
    assert resolve("speech16k") == SHIPS
    assert resolve("runs/speech16k") == Path("runs/speech16k/model.safetensors")


def test_nothing_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "SHIPPED", folder / "nothing")
    with pytest.raises(ModelError, match=r"^no model: none under runs, SQCODEC_MODEL is not set, and none ships"):
        find_for_encoding(None)
    with pytest.raises(ModelError, match=r"^no model: none ships with this version, and SQCODEC_MODEL is not set"):
        find_for_programs(None)
