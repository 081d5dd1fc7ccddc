import gzip
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
from pyarrow import parquet

from sqcodec.bitstream.exported_row import ExportFormat, codes_of, tree_of
from sqcodec.bitstream.shard_file import SUFFIXES, is_shard, read_row, read_rows, write_shard
from sqcodec.errors import CodesError
from sqcodec.layouts import LAYOUTS, LayoutName
from tests.bitstream.test_exported_row import CODES, ROW, meta_of

FORMS = list(SUFFIXES)


def shard(folder: Path, form: ExportFormat, layout: LayoutName = "flat") -> Path:
    path = folder / f"codes-00000{SUFFIXES[form]}"
    rows = [tree_of(row, meta_of(layout)) for row in (ROW, ROW._replace(name="c.d", text=None, speaker=None))]
    write_shard(path, rows, replace(meta_of(layout), form=form))
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", FORMS)
def test_rows_return(tmp_path: Path, form: ExportFormat, layout: LayoutName) -> None:
    path = shard(tmp_path, form, layout)
    rows = list(read_rows(path))
    assert [(row["name"], row["speaker"], row["text"]) for row in rows] == [("a/b", "a", "hello"), ("c.d", None, None)]
    for row in rows:
        assert np.array_equal(codes_of(row, meta_of(layout), "x").indices, CODES.indices)
    content = path.read_bytes()
    assert shard(tmp_path, form, layout).read_bytes() == content


@pytest.mark.parametrize("form", FORMS)
def test_a_row_is_found_by_number_or_name(tmp_path: Path, form: ExportFormat) -> None:
    path = shard(tmp_path, form)
    assert (read_row(path, "1")["name"], read_row(path, "c.d")["name"], read_row(path, "0")["name"]) == (
        "c.d", "c.d", "a/b",
    )  # fmt: skip
    with pytest.raises(CodesError) as error:
        read_row(path, None)
    assert str(error.value) == f"{path}: has several rows; choose one with `row`, by its number from 0 or its name"
    with pytest.raises(CodesError) as error:
        read_row(path, "7")
    assert str(error.value) == f"{path}: no row '7'; expected a number from 0, or the name of a recording"


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_shard_is_refused(tmp_path: Path, form: ExportFormat) -> None:
    path = shard(tmp_path, form)
    content = path.read_bytes()
    half = 600 if form == "webdataset" else len(content) // 2  # within the first member; half a tar is zeros
    for damaged in (content[:half], b"", b"nonsense" * 100):
        path.write_bytes(damaged)
        with pytest.raises(
            CodesError, match=r"codes-00000\S+: (cannot be read as rows of 'sqcodec export'|has no rows)"
        ):
            list(read_rows(path))
            read_row(path, None)


def test_lines_may_lie_uncompressed(tmp_path: Path) -> None:
    lines = gzip.decompress(shard(tmp_path, "jsonl").read_bytes())
    (tmp_path / "a.jsonl").write_bytes(lines)
    assert [row["name"] for row in read_rows(tmp_path / "a.jsonl")] == ["a/b", "c.d"]
    assert json.loads(lines.splitlines()[0])["audio_codes"] == [11, 22, 12, 18, 13, 24]
    assert [is_shard(Path(name)) for name in ("a.jsonl", "a.jsonl.gz", "a.tar", "a.PARQUET", "a.npy", "-")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip


def test_a_tar_is_what_webdataset_reads(tmp_path: Path) -> None:
    """Members of one row follow each other and share the name before the first dot; no other dot is in a name."""
    with tarfile.open(shard(tmp_path, "webdataset")) as tar:
        assert tar.getnames() == ["000000.npy", "000000.json", "000000.txt", "000001.npy", "000001.json"]
        ids = np.load(io.BytesIO(tar.extractfile("000000.npy").read()))
        assert (ids.dtype, ids.tolist()) == (np.int32, [11, 22, 12, 18, 13, 24])
        assert tar.extractfile("000000.txt").read() == b"hello"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parquet_has_one_schema_and_says_what_it_is(tmp_path: Path, layout: LayoutName) -> None:
    """Columns of nothing but nulls keep their type, so a loader of many files (such as `datasets`) can join them."""
    path = shard(tmp_path, "parquet", layout)
    schema = parquet.read_schema(path)
    ids = "list<element: int32>" if layout == "flat" else "list<element: list<element: int32>>"
    assert (str(schema.field("text").type), str(schema.field("audio_codes").type)) == ("string", ids)
    assert str(schema.field("stages").type) == "list<element: uint8>"
    assert json.loads(schema.metadata[b"sqcodec"])["layout"] == layout
    loaded = pyarrow.dataset.dataset([path, path]).to_table(columns=["name", "audio_codes"]).to_pylist()
    assert [row["name"] for row in loaded] == ["a/b", "c.d"] * 2
    assert loaded[0]["audio_codes"] == tree_of(ROW, meta_of(layout))["audio_codes"].tolist()
