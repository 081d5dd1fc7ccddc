"""Shards of an export: JSON lines, Parquet, or a tar as WebDataset reads it. The rows are those of `exported_row`."""

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sqcodec.bitstream.exported_row import IDS, ExportFormat, ExportMeta
from sqcodec.errors import CodesError
from sqcodec.extras import required

SUFFIXES: dict[ExportFormat, str] = {"jsonl": ".jsonl.gz", "parquet": ".parquet", "webdataset": ".tar"}
_Tree = dict[str, Any]


def is_shard(path: Path) -> bool:
    """Whether the name is that of a shard, or of its lines without compression."""
    return path.name.lower().endswith((".jsonl", *SUFFIXES.values()))


def check_format(form: ExportFormat) -> None:
    """Raise SqcodecError: the format needs a package that is not installed."""
    if form == "parquet":
        _pyarrow()


def write_shard(path: Path, rows: Sequence[_Tree], meta: ExportMeta) -> None:
    """Write rows to a new file. The same rows give the same bytes. Raises SqcodecError: Parquet needs pyarrow."""
    {"jsonl": _write_lines, "parquet": _write_parquet, "webdataset": _write_tar}[meta.form](path, rows, meta)


def read_rows(path: Path) -> Iterator[_Tree]:
    """The rows of a shard, one by one. Raises CodesError: missing, another kind of file, or damaged."""
    suffixes: dict[str, Callable[[Path], Iterator[_Tree]]] = {".parquet": _read_parquet, ".tar": _read_tar}
    try:
        yield from suffixes.get(path.suffix.lower(), _read_lines)(path)
    except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError, zlib.error, tarfile.TarError) as error:
        raise CodesError(f"{path}: cannot be read as rows of 'sqcodec export' ({error})") from None


def read_row(path: Path, row: str | None) -> _Tree:
    """One row: the number `row`, from 0, or the row of this name, if it is no number; None: the only one.

    Raises CodesError: there is no such row, or several where one is expected; as `read_rows`.
    """
    if row is None:
        rows = [tree for _, tree in zip(range(2), read_rows(path), strict=False)]
        if len(rows) != 1:
            found = "several rows" if rows else "no rows"
            raise CodesError(f"{path}: has {found}; choose one with `row`, by its number from 0 or its name")
        return rows[0]
    for number, tree in enumerate(read_rows(path)):
        if row == (str(number) if row.isdecimal() else tree.get("name")):
            return tree
    raise CodesError(f"{path}: no row {row!r}; expected a number from 0, or the name of a recording")


def _write_lines(path: Path, rows: Sequence[_Tree], _meta: ExportMeta) -> None:
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as lines:
        for row in rows:
            lines.write(json.dumps(row | {"audio_codes": row["audio_codes"].tolist()}).encode() + b"\n")


def _read_lines(path: Path) -> Iterator[_Tree]:
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as lines:
        for line in lines:
            tree = json.loads(line)
            if not isinstance(tree, dict):
                raise TypeError(f"a line holds {type(tree).__name__}, expected an object")
            yield tree


def _write_tar(path: Path, rows: Sequence[_Tree], _meta: ExportMeta) -> None:
    """Each row is 0.npy (the ids), 0.json (the rest) and, if it is known, 0.txt (what is said)."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, row in enumerate(rows):
            ids = io.BytesIO()
            np.save(ids, row["audio_codes"], allow_pickle=False)
            rest = json.dumps({key: value for key, value in row.items() if key != "audio_codes"})
            members = {"npy": ids.getvalue(), "json": rest.encode(), "txt": (row["text"] or "").encode()}
            for suffix, content in members.items():
                if content:
                    _add(tar, f"{number:06d}.{suffix}", content)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _read_tar(path: Path) -> Iterator[_Tree]:
    with tarfile.open(path, "r:") as tar:
        key, row = "", _Tree()
        for member in tar:
            content = tar.extractfile(member)
            stem, _, suffix = member.name.partition(".")
            if content is None:
                continue
            if row and stem != key:
                yield row
                row = {}
            key = stem
            row |= _member(suffix, content.read())
        if row:
            yield row


def _member(suffix: str, content: bytes) -> _Tree:
    """What a member adds to its row; `txt` repeats what `json` has."""
    if suffix == "json":
        return dict(json.loads(content))
    return {"audio_codes": np.load(io.BytesIO(content), allow_pickle=False)} if suffix == "npy" else {}


def _write_parquet(path: Path, rows: Sequence[_Tree], meta: ExportMeta) -> None:
    arrow, parquet = _pyarrow()
    ids = arrow.list_(arrow.from_numpy_dtype(np.dtype(IDS)))
    columns = {
        "name": arrow.string(),
        "speaker": arrow.string(),
        "text": arrow.string(),
        "seconds": arrow.float64(),
        "samples": arrow.int64(),
        "sample_rate": arrow.int32(),
        "gain": arrow.float64(),
        "model_speaker": arrow.string(),
        "frames": arrow.int32(),
        "stages": arrow.list_(arrow.uint8()),
        "audio_codes": ids if meta.layout == "flat" else arrow.list_(ids),
    }
    schema = arrow.schema(columns, metadata={"sqcodec": json.dumps(meta.as_json())})
    plain = [row | {"audio_codes": row["audio_codes"].tolist()} for row in rows]
    parquet.write_table(arrow.Table.from_pylist(plain, schema=schema), path, compression="zstd")


def _read_parquet(path: Path) -> Iterator[_Tree]:
    _, parquet = _pyarrow()
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=64):
            yield from batch.to_pylist()


def _pyarrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet. Raises SqcodecError: it is not installed."""
    with required():
        import pyarrow
        from pyarrow import parquet
    return pyarrow, parquet
