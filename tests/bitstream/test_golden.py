"""Files that earlier versions wrote decode to their codes, bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sqcodec
from sqcodec.bitstream import context_model, npy, sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.entropy_tables import from_arrays
from sqcodec.bitstream.sqc_header import VERSION, read_header
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.spectrogram import FEATURES
from tests.bitstream.examples import make_space

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = Path(sqcodec.__file__).parent / "models"
FILES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("v[0-9]*/*.sqc"))


def space_of(path: Path) -> CodeSpace:
    if path.parent.name.startswith(("v2", "v4")):
        name = path.stem.partition("-")[0]
        if name == "speech16k":
            return read_space(MODELS / "speech16k-1" / "model.safetensors")
        space = make_space(*{"one": (1, 16), "three": (3, 10)}[name])
        with np.load(GOLDEN / "v2" / f"{name}.npz") as arrays:
            return replace(space, context=context_model.from_arrays(dict(arrays), where="x"))
    if "books" not in path.stem:
        return read_space(path.with_name("plain.safetensors" if path.stem.endswith("plain") else "model.safetensors"))
    with np.load(GOLDEN / "v1" / "three-books.npz") as arrays:
        tables = from_arrays(arrays, where="x")
    speakers = ("p225", "p226", "s5")
    return CodeSpace(
        fingerprint="0123456789abcdef",
        features=FEATURES["log-mel"],
        codewords=(10, 10, 10),
        speakers=speakers,
        tables=tables,
    )


def test_every_version_has_golden_files() -> None:
    assert {f"v{version}" for version in range(1, sqc_version() + 1)} == {
        name.partition("/")[0].partition("-")[0] for name in FILES
    }
    assert len(FILES) >= 7


def sqc_version() -> int:
    return VERSION


@pytest.mark.parametrize("name", FILES)
def test_the_codes_are_those_that_were_written(name) -> None:
    path = GOLDEN / name
    content = path.read_bytes()
    got = sqc.unpack(content, space_of(path), where=name)
    assert np.array_equal(got.indices, np.load(path.with_suffix(".codes.npy")))
    assert read_header(content, where=name).size <= 20
    if path.parent.name.startswith(("v2", "v4")):
        stages = np.full(got.indices.shape[1], len(got.indices)) if got.stages is None else got.stages
        assert np.array_equal(stages, np.load(path.with_suffix(".stages.npy")))


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("-plain.sqc")])
def test_a_model_that_gained_tables_reads_what_it_wrote_before(name) -> None:
    path = GOLDEN / name
    got = sqc.unpack(path.read_bytes(), read_space(path.with_name("model.safetensors")), where=name)
    assert np.array_equal(got.indices, np.load(path.with_suffix(".codes.npy")))


@pytest.mark.parametrize("name", FILES)
def test_the_same_bytes_are_written_again(name) -> None:
    path = GOLDEN / name
    space, content = space_of(path), path.read_bytes()
    coder = "context" if path.parent.name.startswith(("v2", "v4")) else "tables" if space.tables else "plain"
    block = read_header(content, where=name).block
    assert sqc.pack(sqc.unpack(content, space, where=name), space, coder=coder, block=block) == content


@pytest.mark.parametrize("name", sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("v1/????*.npy")))
def test_old_npy_files_are_read(name) -> None:
    if name.endswith(".codes.npy"):
        assert npy.read_codes(GOLDEN / name).fingerprint is None  # a bare array
        return
    codes = npy.read_codes(GOLDEN / name)
    stem = Path(name).stem
    assert np.array_equal(codes.indices, np.load((GOLDEN / name).with_name(f"{stem}-tables.codes.npy")))
    assert codes.fingerprint == read_space((GOLDEN / name).with_name("model.safetensors")).fingerprint
    assert codes.speaker == "p226"
