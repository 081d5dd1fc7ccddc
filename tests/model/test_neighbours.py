"""Models that share arrays: what a file lacks, its neighbour has."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from sqcodec.errors import ModelError
from sqcodec.model.model_file import add_context, load_model, save_model
from sqcodec.model.model_header import FORMAT, SHARING_FORMAT, read_context, read_header, read_tables, read_whole
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.training.shipping import ship_receiver
from tests.bitstream.examples import make_context
from tests.conftest import make_model


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A model whose decoder is another than that of `models/first`; `models/second` shares with the first."""
    first, source, second = (tmp_path / name / "model.safetensors" for name in ("models/first", "w", "models/second"))
    make_model(first)
    context = make_context(1, 16, dim=4)
    add_context(first, first, context.arrays, context.digest)
    codec = load_model(first)
    with torch.no_grad():
        next(codec.decoder.parameters()).add_(1.0)
    source.parent.mkdir()
    save_model(source, codec, 9)
    add_context(source, source, context.arrays, context.digest)
    ship_receiver(source, first, second)
    return source


@pytest.fixture
def second(whole: Path) -> Path:
    return whole.parent.parent / "models" / "second" / "model.safetensors"


def test_only_what_differs_is_stored(whole: Path, second: Path) -> None:
    arrays = load(second.read_bytes())
    assert len(arrays) == 1
    assert next(iter(arrays)).startswith("decoder.")
    header = read_header(second)
    assert (header.format, header.step) == (SHARING_FORMAT, 9)
    assert header.neighbour == second.resolve().parent.parent / "first" / "model.safetensors"


def test_it_is_read_as_if_it_were_whole(whole: Path, second: Path) -> None:
    tree, arrays = read_whole(second)
    expected_tree, expected = read_whole(whole)
    assert tree == expected_tree
    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(array, expected[name]) for name, array in arrays.items())
    assert read_context(second).keys() == read_context(whole).keys() != set()
    assert read_tables(second) == read_tables(whole) == {}
    codec, other = open_codec(second, "cpu"), open_codec(whole, "cpu")
    codes = other.encode(np.sin(np.arange(9000) / 9).astype(np.float32), 16000)
    sound = codec.decode(codes, vocoder="griffin-lim")
    assert np.array_equal(sound, other.decode(codes, vocoder="griffin-lim"))
    assert not np.array_equal(sound, open_codec(read_header(second).neighbour, "cpu").decode(codes))


def test_a_saved_folder_needs_no_neighbour(second: Path, tmp_path: Path) -> None:
    open_codec(second, "cpu").save_pretrained(tmp_path / "elsewhere" / "mine")
    saved = tmp_path / "elsewhere" / "mine" / "model.safetensors"
    assert read_header(saved).neighbour is None
    assert read_header(saved).format == FORMAT + 1  # it has a context model
    assert read_whole(saved)[1].keys() == read_whole(second)[1].keys()
    assert json.loads(saved.with_name("config.json").read_text())["format"] == FORMAT + 1


def test_a_model_that_is_changed_becomes_whole(second: Path, tmp_path: Path) -> None:
    context = make_context(1, 16, dim=4)
    add_context(second, tmp_path / "changed.safetensors", context.arrays, context.digest)
    assert load_model(tmp_path / "changed.safetensors").fingerprint == read_header(second).fingerprint


def test_a_neighbour_that_is_missing_is_named(second: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "second" / "model.safetensors"
    alone.parent.mkdir(parents=True)
    shutil.copy(second, alone)
    assert read_header(alone).step == 9  # the header is whole
    for read in (read_whole, read_context, load_model):
        with pytest.raises(ModelError, match=r"shares arrays with .*first/model\.safetensors, which is missing; copy"):
            read(alone)


def test_a_neighbour_of_other_codes_is_refused(second: Path, tmp_path: Path) -> None:
    make_model(second.parent.parent / "first" / "model.safetensors", "quantizer.codewords=8")
    with pytest.raises(ModelError, match=r"whose fingerprint is [0-9a-f]{16}, expected [0-9a-f]{16}; fetch both"):
        read_whole(second)
    with pytest.raises(ModelError, match="a receiver has the codes of its neighbour"):
        ship_receiver(tmp_path / "w" / "model.safetensors", second.parent.parent / "first" / second.name, second)


def test_a_neighbour_of_another_context_model_is_refused(whole: Path, second: Path) -> None:
    first = second.parent.parent / "first" / second.name
    context = make_context(1, 16, dim=5)
    add_context(first, first, context.arrays, context.digest)
    with pytest.raises(ModelError, match=r"context [0-9a-f]{32}, but that of .*; a receiver has the codes"):
        ship_receiver(whole, first, second)
    with pytest.raises(ModelError, match="its context model is damaged; fetch the model again"):
        open_codec(second, "cpu")


@pytest.mark.parametrize("name", ["../first", "/etc", "", "..", 7, "a/b"])
def test_no_path_stands_for_a_neighbour(name: object, second: Path) -> None:
    content = second.read_bytes()
    tree = json.loads(read_metadata(content))
    second.write_bytes(save(load(content), metadata={"sqcodec": json.dumps(tree | {"shares": name})}))
    with pytest.raises(ModelError, match=r"not a model of sqcodec \((ValueError|TypeError): "):
        read_header(second)


def read_metadata(content: bytes) -> str:
    length = int.from_bytes(content[:8], "little")
    metadata: str = json.loads(content[8 : 8 + length])["__metadata__"]["sqcodec"]
    return metadata
