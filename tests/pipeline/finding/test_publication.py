"""A published model opens from wherever it lies, and its card says what it is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import sqcodec
from sqcodec.errors import ModelError
from sqcodec.pipeline.finding.model_card import licence_of, metadata_of
from tests.conftest import make_model, speech_like
from tests.vocoder.test_vocoder_file import saved

SHIPPED = Path(sqcodec.__file__).parent / "models" / "speech16k"
SOUND = speech_like(16_000)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, from which nothing that ships is found."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    return tmp_path


def test_a_saved_model_needs_nothing_but_its_folder(elsewhere: Path) -> None:
    original = sqcodec.load(SHIPPED)
    original.save_pretrained(elsewhere / "made" / "mine")
    shutil.move(elsewhere / "made", elsewhere / "moved")
    folder = elsewhere / "moved" / "mine"
    names = ["README.md", "config.json", "model.safetensors", "vocoder/vocoder.safetensors"]
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == names
    codec = sqcodec.load(folder)
    assert codec.vocoder(None).path == folder / "vocoder" / "vocoder.safetensors"
    assert codec.vocoder(None).note == ""
    codes = original.encode(SOUND, 16_000)
    assert np.array_equal(codec.encode(SOUND, 16_000).indices, codes.indices)
    assert np.array_equal(codec.decode(codes), original.decode(codes))
    assert codec.pack(codes) == original.pack(codes)  # the tables went along
    config = json.loads((folder / "config.json").read_text("utf-8"))
    expected = {
        "model_type": "sqcodec", "name": "speech16k", "fingerprint": codec.fingerprint, "sampling_rate": 16000,
        "frame_rate": 50.0, "samples_per_frame": 320, "num_codebooks": 10, "codebook_sizes": [256] * 10,
        "bit_rates": [*codec.nominal_bitrates], "default_bit_rate": 1600.0, "speakers": 0, "vocoder": "istft",
    }  # fmt: skip
    assert {name: config[name] for name in expected} == expected
    assert config["recipe"]["quantizer"]["kind"] == "residual"


def test_the_card_of_a_model_goes_along_and_keeps_what_it_says(elsewhere: Path) -> None:
    sqcodec.load(SHIPPED).save_pretrained(elsewhere / "mine", language="de", datasets=["a/b", "c"])
    card = (elsewhere / "mine" / "README.md").read_text("utf-8")
    original = (SHIPPED / "README.md").read_text("utf-8")
    assert card.count("\n---\n") == original.count("\n---\n")
    assert card.partition("\n---\n")[2] == original.partition("\n---\n")[2]
    assert metadata_of(elsewhere / "mine" / "model.safetensors") == {
        **metadata_of(SHIPPED / "model.safetensors"), "language": "de", "datasets": '["a/b", "c"]',
    }  # fmt: skip


def test_a_run_folder_is_published_in_place(elsewhere: Path) -> None:
    """With what a training left in it. Its vocoder is its own, not another run's of the same kind."""
    make_model(Path("runs/mine/model.safetensors"))
    features = sqcodec.load("mine").features
    saved(Path("runs/mine/vocoder/vocoder.safetensors"), "world", features)
    saved(Path("runs/other/vocoder/vocoder.safetensors"), "world", features)
    Path("runs/mine/log.jsonl").write_text("{}\n", "utf-8")
    weights = Path("runs/mine/model.safetensors").stat()
    sqcodec.load("mine").save_pretrained("runs/mine", licence="cc-by-4.0")
    assert Path("runs/mine/model.safetensors").stat() == weights
    assert Path("runs/mine/log.jsonl").is_file()
    assert licence_of(Path("runs/mine/model.safetensors")) == "cc-by-4.0"
    card = Path("runs/mine/README.md").read_text("utf-8")
    assert card.startswith(
        '---\nlicense: cc-by-4.0\nlibrary_name: sqcodec\npipeline_tag: audio-to-audio\ntags: ["audio'
    )
    assert "(recipe vctk, 7 steps): 16000 Hz,\n200 bit/s nominal, 3 speakers, among whom it converts." in card
    codec = sqcodec.load("runs/mine")
    assert codec.vocoder(None).path == Path("runs/mine/vocoder/vocoder.safetensors")
    codec.save_pretrained("runs/mine")
    assert Path("runs/mine/README.md").read_text("utf-8") == card  # a second time changes nothing


def test_a_model_without_a_vocoder_is_published_too(elsewhere: Path) -> None:
    make_model(elsewhere / "one" / "model.safetensors")
    sqcodec.load(elsewhere / "one").save_pretrained(elsewhere / "two")
    assert json.loads((elsewhere / "two" / "config.json").read_text("utf-8"))["vocoder"] == "griffin-lim"
    assert not (elsewhere / "two" / "vocoder").exists()


def test_a_folder_that_cannot_be_written_is_an_error(elsewhere: Path) -> None:
    (elsewhere / "file").write_text("", "utf-8")
    with pytest.raises(sqcodec.SqcodecError, match=r"file/mine: cannot be written: Not a directory"):
        sqcodec.load(SHIPPED).save_pretrained(elsewhere / "file" / "mine")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("someone/speech", "hf download someone/speech --local-dir someone/speech"),
        ("hf:someone/speech", "hf download someone/speech --local-dir someone/speech"),
        ("someone/speech@v1.0", "hf download someone/speech --revision v1.0 --local-dir someone/speech"),
        ("speech", ""),
        ("runs/speech", ""),
        ("here/speech", ""),
        ("a/b/c", ""),
    ],
)
def test_a_name_that_is_not_there_gives_the_command_that_fetches_it(elsewhere: Path, name: str, command: str) -> None:
    Path("here").mkdir()
    with pytest.raises(sqcodec.SqcodecError) as error:
        sqcodec.load(name)
    end = f"; '{command}' fetches it if it is on the Hugging Face Hub" if command else ""
    assert str(error.value) == (
        f"model {name!r}: no such file, none at {name}/model.safetensors or runs/{name}/model.safetensors, and none"
        f" ships with this version; give a model.safetensors or a run folder{end}"
    )


def test_metadata_are_yaml(elsewhere: Path) -> None:
    """`no` is Norwegian, and no boolean."""
    sqcodec.load(SHIPPED).save_pretrained(elsewhere / "mine", language="no", licence="other: ask us")
    card = (elsewhere / "mine" / "README.md").read_text("utf-8")
    read = yaml.safe_load(card.split("---\n")[1])
    assert (read["language"], read["license"]) == ("no", "other: ask us")
    assert licence_of(elsewhere / "mine" / "model.safetensors") == "other: ask us"


def test_the_vocoder_of_another_model_is_not_left_beside_this_one(elsewhere: Path) -> None:
    make_model(Path("runs/mine/model.safetensors"))
    codec = sqcodec.load("runs/mine")
    assert codec.vocoder(None).path is None
    codec.save_pretrained("out")
    saved(Path("out/vocoder/vocoder.safetensors"), "istft", codec.features)
    with pytest.raises(ModelError, match=r"^out/vocoder/vocoder.safetensors: of another model, and this one has no"):
        codec.save_pretrained("out")
