"""Files that earlier versions wrote decode to their codes, bit for bit."""

from pathlib import Path

import numpy as np
import pytest

from sqcodec.bitstream import npy, sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.entropy_tables import from_arrays
from sqcodec.bitstream.sqc_header import VERSION, read_header
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.spectrogram import FEATURES

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("v*/*.sqc"))


def space_of(path: Path) -> CodeSpace:
    if "books" not in path.stem:
        return read_space(path.with_name("plain.safetensors" if path.stem.endswith("plain") else "model.safetensors"))
    with np.load(path.with_name("three-books.npz")) as arrays:
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
    assert {f"v{version}" for version in range(1, sqc_version() + 1)} == {name.partition("/")[0] for name in FILES}
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


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("-plain.sqc")])
def test_a_model_that_gained_tables_reads_what_it_wrote_before(name) -> None:
    path = GOLDEN / name
    got = sqc.unpack(path.read_bytes(), read_space(path.with_name("model.safetensors")), where=name)
    assert np.array_equal(got.indices, np.load(path.with_suffix(".codes.npy")))


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(f"v{sqc_version()}/")])
def test_this_version_writes_the_same_bytes(name) -> None:
    path = GOLDEN / name
    space, content = space_of(path), path.read_bytes()
    assert sqc.pack(sqc.unpack(content, space, where=name), space) == content


@pytest.mark.parametrize("name", sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("v*/????*.npy")))
def test_old_npy_files_are_read(name) -> None:
    if name.endswith(".codes.npy"):
        assert npy.read_codes(GOLDEN / name).fingerprint is None  # a bare array
        return
    codes = npy.read_codes(GOLDEN / name)
    stem = Path(name).stem
    assert np.array_equal(codes.indices, np.load((GOLDEN / name).with_name(f"{stem}-tables.codes.npy")))
    assert codes.fingerprint == read_space((GOLDEN / name).with_name("model.safetensors")).fingerprint
    assert codes.speaker == "p226"
