"""Which vocoder is found: by kind, name and path, and the best when none is asked for."""

import os
from pathlib import Path

import pytest

from sqcodec.errors import VocoderError
from sqcodec.pipeline.finding.vocoders import find_vocoder
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES
from tests.vocoder.test_vocoder_file import saved

LOG_MEL, PAPER_MEL = FEATURES["log-mel"], FEATURES["paper-mel"]


def found(name=None, features=LOG_MEL, **more):
    made = find_vocoder(name, features, device="cpu", **more)
    return made.vocoder.kind, made.path, made.note


@pytest.fixture(autouse=True)
def empty_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_griffin_lim_without_weights_takes_the_recipe_s_settings() -> None:
    assert found() == ("griffin-lim", None, "")
    settings = load_recipe("folder", ("vocoder.iterations=7",)).vocoder
    stored = settings.model_dump(mode="json")
    assert find_vocoder(None, PAPER_MEL, device="cpu", settings=stored).vocoder.settings == settings
    unlike = load_recipe("istft").vocoder.model_dump(mode="json")
    other = find_vocoder("griffin-lim", LOG_MEL, device="cpu", settings=unlike).vocoder
    assert other.settings == load_recipe("folder").vocoder


def test_order_of_preference() -> None:
    runs = {name: Path("runs") / name / "vocoder" / "vocoder.safetensors" for name in ("a", "b", "c", "d", "e")}
    saved(runs["a"], "world")
    assert found() == ("world", runs["a"], "using runs/a/vocoder/vocoder.safetensors (world)")
    saved(runs["b"], "istft", codec="another")
    saved(runs["c"], "istft")
    assert found()[1] == runs["c"]  # before the one tuned on another codec
    saved(runs["d"], "istft")
    os.utime(runs["d"], (1, 1))
    assert found()[1] == runs["c"]  # the newest of equals
    assert found(codec="another")[1] == runs["b"]
    saved(runs["e"], "istft", PAPER_MEL)
    assert found(features=PAPER_MEL)[1] == runs["e"]
    assert found("world")[1] == runs["a"]
    assert found("griffin-lim") == ("griffin-lim", None, "")
    Path("runs/a/vocoder/vocoder.safetensors").write_bytes(b"broken")
    assert found()[1] == runs["c"]


@pytest.mark.parametrize("kind", ["griffin-lim", "world"])
def test_a_precision_needs_a_network_that_has_it(kind) -> None:
    saved(Path("runs/a/vocoder/vocoder.safetensors"), "world")
    with pytest.raises(VocoderError, match=f"^`precision` bfloat16: for istft vocoders only, got {kind}; leave it out"):
        found(kind, precision="bfloat16")


@pytest.mark.parametrize("root", ["", "."])
def test_a_model_has_the_vocoders_of_its_own_folder(root, tmp_path) -> None:
    """Not those of the stages below it, which have models of their own, however new they are."""
    run = (tmp_path if root else Path()) / "runs" / "a"
    folders = ("vocoder-on-codec", "joint/vocoder", "contrast/vocoder")
    tuned, joint, contrast = (Path("runs/a") / folder / "vocoder.safetensors" for folder in folders)
    for age, path in enumerate((contrast, joint, tuned)):
        saved(path, "istft", codec="one")
        os.utime(path, (1000 - age, 1000 - age))
    for model, path in ((run, tuned), (run / "joint", joint), (run / "contrast", contrast)):
        assert found(codec="one", beside=model / "model.safetensors")[1].resolve() == path.resolve()


@pytest.mark.parametrize("name", ["runs/a/vocoder/vocoder.safetensors", "runs/a/vocoder", "runs/a", "a"])
def test_vocoder_by_file_folder_or_name(name) -> None:
    path = Path("runs/a/vocoder/vocoder.safetensors")
    saved(path, "world")
    assert found(name) == ("world", path, "")
    with pytest.raises(VocoderError, match="a vocoder for log-mel features .* got paper-mel"):
        found(name, PAPER_MEL)


def test_a_kind_without_weights_names_the_command() -> None:
    with pytest.raises(VocoderError) as caught:
        found("world", PAPER_MEL)
    assert str(caught.value) == (
        "vocoder world: no weights for paper-mel features under runs/, and none ship with this"
        " version; 'sqcodec train recipes/world' with `stage` vocoder and `overrides`"
        " features.kind=paper-mel makes them"
    )
