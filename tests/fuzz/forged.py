"""Hostile files that are well formed: fields are changed, then checksums, digests and lengths are made right again."""

import contextlib
import gzip
import io
import json
import random
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load, save

from sqcodec.bitstream import npy, sqc
from sqcodec.bitstream.ans import pack_codes
from sqcodec.bitstream.context_coder import Part, pack_parts
from sqcodec.bitstream.entropy_tables import from_arrays
from sqcodec.bitstream.sqc_header import read_header, varint
from sqcodec.errors import SqcodecError
from sqcodec.model.model_header import TABLES
from sqcodec.tensor_files import load_plain

# what a field of any kind is replaced by
VALUES: tuple[Any, ...] = (
    -1, 0, 1, 2, 7, 255, 65_536, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -(2**63), 0.0, -0.5,
    1e-300, 1e308, float("inf"), float("-inf"), float("nan"), "", "x", "x" * 1000, "\x00", "\x1b]0;title\x07", "a\nb",
    "../../x", "\ud800", None, True, False, [], [[]], {}, {"a": 1}, [1] * 300, "[" * 60,
)  # fmt: skip


def any_value(rng: random.Random) -> Any:
    return deepcopy(rng.choice(VALUES))


def forge_tree(rng: random.Random, tree: Any, changes: int = 1) -> Any:
    """A copy of a tree of plain values with fields replaced, removed, added or doubled."""
    tree = json.loads(json.dumps(tree))
    for _ in range(changes):
        places = list(_places(tree))
        if not places:
            return any_value(rng)
        node, key = rng.choice(places)
        match rng.randrange(8):
            case 0:
                del node[key]
            case 1 if isinstance(node, dict):
                node[rng.choice(["x", "kind", "name", ""])] = any_value(rng)
            case 1 | 2 if isinstance(node, list):
                node.extend(deepcopy(node[:50]) * rng.choice([1, 3, 40]))
            case _:
                node[key] = any_value(rng)
    return tree


def _places(tree: Any) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(items):
        yield tree, key
        yield from _places(value)


def sqc_file(space: Any) -> Callable[[random.Random, bytes], bytes]:
    """Header fields changed, then blocks of random codes whose checksums and lengths are right."""

    def forge(rng: random.Random, seed: bytes) -> bytes:
        header = read_header(seed, where="x")
        version, flags = rng.choice([1, 1, 1, 3]), seed[3] & 15 if rng.random() < 0.7 else rng.randrange(16)
        content = seed[:3] + bytes([version * 16 + flags]) + seed[4:10] + bytes([rng.randrange(256)])
        samples = rng.choice([header.samples, rng.randrange(1, 400_000), *_SIZES])
        content += varint(samples)
        if flags & 2:
            content += rng.choice([bytes([rng.randrange(30)]), b"\0" + varint(rng.choice(_SIZES))])
        books = rng.choice([1, 1, 1, 2, 300])
        content += varint(rng.choice([0, 1, 2, 3, 2**40])) if flags & 4 else b""
        content += varint(books) if flags & 8 else b""
        content += varint(rng.choice([8, 25, 499, 500, 7, 501, 2**40])) if version == 3 else b""
        try:
            made = read_header(content, where="x")
            length = made.length(space.features)
        except (SqcodecError, OverflowError):
            return content + rng.randbytes(200)
        if length > 20_000 or made.books > 4:
            return content + rng.randbytes(200)
        tables = space.tables if made.coder == "tables" and made.books <= len(space.codewords) else None
        for block in sqc.blocks(length, made.block):
            size = space.codewords[0] + rng.choice([0, 0, 0, 1])
            codes = np.array(
                [[rng.randrange(size) for _ in range(block.stop - block.start)] for _ in range(made.books)], np.uint16
            )
            try:
                payload = pack_codes(codes, sqc.checksum_of(content, block, codes), tables, [size] * made.books)
            except (IndexError, ZeroDivisionError, ValueError):
                payload = rng.randbytes(20)
            content += payload if block.stop == length else varint(len(payload)) + payload
        return content

    return forge


def context_file(space: Any) -> Callable[[random.Random, bytes], bytes]:
    """As `sqc_file`, of the context model (versions 2 and 4): random codes and ends, with right checksums and lengths,
    of which now and then one is wrong."""

    def forge(rng: random.Random, seed: bytes) -> bytes:
        content, books = seed[:3] + bytes([rng.choice([2, 2, 4, 4, 4]) * 16]) + seed[4:11], rng.randint(1, 3)
        flags = rng.choice([9, 9, 8, rng.randrange(16)])
        content = content[:3] + bytes([content[3] + flags]) + content[4:]
        content += varint(rng.choice([1, 320, *(rng.randrange(1, most) for most in _SAMPLES), rng.choice(_SIZES)]))
        content += rng.choice([bytes([rng.randrange(30)]), b"\0" + varint(rng.choice(_SIZES))]) if flags & 2 else b""
        content += varint(rng.choice([0, 1, 2, 3, 2**40])) if flags & 4 else b""
        content += varint(rng.choice([books] * 9 + [0, 4, 300])) if flags & 8 else b""
        content += varint(rng.choice([8, 9, 25, 499, 500, 7, 501, 2**40])) if content[3] >= 64 else b""
        try:
            made = read_header(content, where="x")
            length = made.length(space.features)
        except (SqcodecError, OverflowError):
            return content + rng.randbytes(200)
        if length > 2000 or made.books > len(space.codewords):
            return content + rng.randbytes(200)
        return content + b"".join(_context_blocks(rng, content, made, length, space))

    return forge


def _context_blocks(rng: random.Random, content: bytes, made: Any, length: int, space: Any) -> Iterator[bytes]:
    every = list(sqc.blocks(length, made.block))
    draw, parts, sums = np.random.default_rng(rng.randrange(2**32)), [], []
    for block in every:
        count = block.stop - block.start
        lowest = rng.choice([1, made.books]) if made.stops else made.books
        stages = draw.integers(lowest, made.books + 1, count).astype(np.uint8)
        codes = draw.integers(0, rng.choice([1, space.codewords[0]]), (made.books, count)).astype(np.uint16)
        codes[np.arange(made.books)[:, None] >= stages] = 0
        parts.append(Part(codes, stages))
        sums.append(sqc.checksum_of(content, block, codes, stages if made.stops else None) ^ (rng.random() < 0.02))
    for block, payload in zip(every, pack_parts(parts, sums, space.context, stops=made.stops), strict=True):
        packed = rng.choice([payload[:-1], payload + b"\1", rng.randbytes(9)]) if rng.random() < 0.02 else payload
        size = rng.choice(_SIZES) if rng.random() < 0.01 else len(packed)
        yield packed if block.stop == length else varint(size) + packed


_SAMPLES = (9000, 9000, 9000, 20_000, 20_000, 20_000, 200_000)  # below these
_SIZES = (0, 1, 79, 80, 2**31, 2**32, 2**40, 2**62, 2**63 - 1)


def npy_file(rng: random.Random, seed: bytes) -> bytes:
    """Fields of the JSON changed, shapes and types of the codes, with a checksum that holds."""
    try:
        codes = npy.unpack(seed, where="x")
    except SqcodecError:
        return seed
    fields = {"sqcodec": 1, "fingerprint": codes.fingerprint, "samples": codes.samples, "gain": codes.gain,
              "sample_rate": codes.sample_rate, "speaker": codes.speaker}  # fmt: skip
    fields = forge_tree(rng, fields, rng.randint(0, 2))
    fields = fields if isinstance(fields, dict) else {"sqcodec": fields}
    indices = codes.indices.astype(rng.choice(["<u2", "<u2", "<u2", "<i4", ">u2", "<f4", "<i8"]))
    shape = rng.choice(
        [indices.shape, indices.shape, indices.shape[::-1], (1,) * 20 + indices.shape, indices.shape[1:]]
    )
    file = io.BytesIO()
    np.lib.format.write_array(file, indices.reshape(shape if indices.size == np.prod(shape) else -1), version=(1, 0))
    text = json.dumps({**fields, "crc32": "00000000"}).encode()
    np.lib.format.write_array(file, np.frombuffer(text, np.uint8), version=(1, 0))
    content = file.getvalue()[:-10]
    return content + b'%08x"}' % zlib.crc32(content)


def tensors_file(rng: random.Random, seed: bytes) -> bytes:
    """The JSON header changed, or tensors; the digest of the tables is made right where they still are tables."""
    size = int.from_bytes(seed[:8], "little")
    metadata = json.loads(seed[8 : 8 + size])["__metadata__"]
    (key,) = metadata
    tree, tensors = json.loads(metadata[key]), load(seed)
    if rng.random() < 0.6:
        tree = forge_tree(rng, tree, rng.randint(1, 3))
    for _ in range(rng.randint(0, 2)):
        _change_tensor(rng, tensors)
    tables = {name.removeprefix(TABLES): value for name, value in tensors.items() if name.startswith(TABLES)}
    with contextlib.suppress(SqcodecError, TypeError):  # NumPy has no bfloat16
        if tables and isinstance(tree, dict):
            tree["tables"] = from_arrays({name: value.numpy() for name, value in tables.items()}, where="x").digest
    return save(tensors, metadata={key: json.dumps(tree)})


def _change_tensor(rng: random.Random, tensors: dict[str, torch.Tensor]) -> None:
    name = rng.choice(list(tensors))
    value = tensors[name].clone()
    match rng.randrange(6):
        case 0:
            del tensors[name]
            return
        case 1:
            value = value.reshape(-1)[: rng.choice([0, 1, value.numel() // 2])]
        case 2:
            value = value.to(rng.choice([torch.float64, torch.int8, torch.bool, torch.int64, torch.bfloat16]))
        case 3:
            value = torch.full_like(value, rng.choice([0, 1, 100]))
        case 4 if value.is_floating_point() and value.numel():
            value.view(-1)[rng.randrange(value.numel())] = rng.choice([float("nan"), float("inf"), 1e38])
        case _ if value.numel():
            value.view(-1)[rng.randrange(value.numel())] = rng.choice([0, 1, 127])
    tensors[name] = value.contiguous()


def checkpoint_file(rng: random.Random, seed: bytes) -> bytes:
    """A part of the state replaced, removed, or of another shape."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(seed)
        state = load_plain(Path(file.name))
    for _ in range(rng.randint(1, 3)):
        node = state
        while isinstance(node, dict) and node and rng.random() < 0.7:
            key = rng.choice(list(node))
            if not isinstance(node[key], dict) or not node[key]:
                break
            node = node[key]
        if not node:
            continue
        key = rng.choice(list(node))
        value = any_value(rng)
        node[key] = (
            value if rng.random() < 0.7 else torch.full((rng.choice([0, 1, 3]),), rng.choice([0.0, float("nan")]))
        )
        if rng.random() < 0.2:
            del node[key]
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def recipe_file(rng: random.Random, seed: bytes) -> bytes:
    """Keys and values changed, in YAML."""
    tree = forge_tree(rng, yaml.safe_load(seed), rng.randint(1, 4))
    text = yaml.safe_dump(tree, allow_unicode=True)
    if rng.random() < 0.1:
        text += "zz: " + rng.choice(["[" * 300, "!!int ''", "2024-13-45", "&a [*a]", "9" * 5000, "!!binary x", "? [a]"])
    return text.encode("utf-8", "surrogatepass")


def table_file(rng: random.Random, seed: bytes) -> bytes:
    """Cells of a text in columns replaced, removed, doubled."""
    separator = b"\t" if b"\t" in seed else b" "
    rows = [line.split(separator) for line in seed.splitlines()]
    for _ in range(rng.randint(1, 4)):
        row = rng.choice(rows)
        cell = str(any_value(rng)).encode("utf-8", "surrogatepass")
        match rng.randrange(5):
            case 0 if row:
                row.pop(rng.randrange(len(row)))
            case 1:
                row.append(cell)
            case 2:
                rows.extend([list(row) for row in rows[:20]] * rng.choice([1, 5]))
            case _ if row:
                row[rng.randrange(len(row))] = rng.choice([cell, b".", b"/", b"..", b"nan", b"inf", b"1e400", b"-0"])
    return rng.choice([b"\n", b"\r\n"]).join(separator.join(row) for row in rows)


def archive_file(rng: random.Random, seed: bytes) -> bytes:
    """An archive with hostile names, kinds and sizes, of the kind of the seed."""
    names = ["english/a.wav", "english", "english/a.wav/b", "../x", "/x", "n" * 300, "a\\..\\..\\x", "", ".", "\x00",
             "english/" + "d/" * 200 + "a", "caf\udce9", "con", "english/a.wav"]  # fmt: skip
    chosen = rng.sample(names, rng.randint(1, 4))
    file = io.BytesIO()
    if seed.startswith(b"PK"):
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", rng.choice([0, 8, 14])) as packed:
            for name in chosen:
                if name.strip("\0") and "\udce9" not in name:
                    packed.writestr(name, bytes(rng.choice([0, 5, 300_000])))
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in chosen:
            member = tarfile.TarInfo(name)
            member.type = rng.choice([tarfile.REGTYPE] * 4 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, b"Z"])
            member.linkname = rng.choice(["", "../x", "/etc/passwd", "english/a.wav"])
            member.mode = rng.choice([0o644, 0, 0o7777])
            member.size = 5 if member.type == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(bytes(5)))
    return gzip.compress(file.getvalue(), 1)
