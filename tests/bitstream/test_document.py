"""docs/bitstream.md is enough to read a `.sqc`: this reader is written from it alone, in whole numbers."""

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests import reference

V1 = Path(__file__).parents[1] / "golden" / "v1"
RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]
TOTAL = 2**20


def varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for group in range(9):
        value += (content[place + group] & 127) << 7 * group
        if content[place + group] < 128:
            break
    return value, place + group + 1


def read_sqc(content: bytes, tables: dict[str, np.ndarray] | None, codewords: int):
    flags, place = content[3] & 15, 11
    assert content[:3] == b"SQC"
    assert content[3] >> 4 == 1
    samples, place = varint(content, place)
    rate, books = 16000, 1
    if flags & 2:
        code, place = content[place], place + 1
        rate, place = (RATES[code - 1], place) if code else varint(content, place)
    if flags & 4:
        _speaker, place = varint(content, place)
    if flags & 8:
        books, place = varint(content, place)
    header = content[:place]
    frames = -(-(-(-samples * 16000 // rate) + 80) // 160)
    length, codes = -(-frames // 2), []
    number = max(1, (length + 250) // 500)
    for block in range(number):
        stop = len(content)
        if block < number - 1:
            size, place = varint(content, place)
            stop = place + size
        assert content[stop - 1] != 0
        x = int.from_bytes(content[place:stop], "little")
        count = 500 if block < number - 1 else length - 500 * block
        part, x = read_block(x, books, count, tables if flags & 1 else None, codewords)
        covered = header + block.to_bytes(4, "little") + part.astype("<u2").tobytes()
        assert x == zlib.crc32(covered) % 2**24
        codes.append(part)
        place = stop
    return np.concatenate(codes, axis=1)


def read_block(x: int, books: int, count: int, tables, codewords: int):
    codes = np.zeros((books, count), np.int64)
    for time in range(count):
        for book in range(books):
            if tables is None:
                x, codes[book, time] = divmod(x, codewords)
                continue
            before = codes[book, time - 1] if time else None
            shares = row(tables, book, codes[book - 1, time] if tables["contexts"][book] else before)
            u, v, start = x % TOTAL, 0, 0
            while u >= start + shares[v]:
                start += shares[v]
                v += 1
            codes[book, time], x = v, x // TOTAL * shares[v] + u - start
    return codes, x


def row(tables, book: int, context) -> list[int]:
    plain = reference.frequencies([2 * count + 1 for count in tables[f"{book}.counts"].tolist()], TOTAL)
    pairs = zip(tables[f"{book}.pairs"].tolist(), tables[f"{book}.times"].tolist(), strict=True)
    seen = {pair[1]: times for pair, times in pairs if pair[0] == context}
    if not seen:
        return plain
    weights = [len(seen) * share for share in plain]
    for code, times in seen.items():
        weights[code] += (2 * times - 1) * TOTAL
    return reference.frequencies(weights, TOTAL)


def tables_of(path: Path) -> dict[str, np.ndarray]:
    if "books" in path.stem:
        with np.load(path.with_name("three-books.npz")) as arrays:
            return dict(arrays)
    with safe_open(path.with_name("model.safetensors"), framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith("tables.")]  # noqa: SIM118
        return {name.removeprefix("tables."): file.get_tensor(name) for name in names}


@pytest.mark.parametrize("name", sorted(path.name for path in V1.glob("*.sqc")))
def test_the_document_reads_the_golden_files(name) -> None:
    path = V1 / name
    tables = tables_of(path)
    codes = read_sqc(path.read_bytes(), tables, len(tables["0.counts"]))
    assert np.array_equal(codes, np.load(path.with_suffix(".codes.npy")))


def test_the_model_is_named_as_the_document_says() -> None:
    content, tables = (V1 / "long-tables.sqc").read_bytes(), tables_of(V1 / "long-tables.sqc")
    fingerprint = "e8b049a61eca4357"
    digest = hashlib.sha256()
    for name, array in sorted(tables.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode() + array.tobytes())
    for path, table_digest in (("long-tables", digest.hexdigest()[:32]), ("long-plain", "")):
        text = "\n".join([fingerprint, table_digest, "p225", "p226", "s5"])
        content = (V1 / f"{path}.sqc").read_bytes()
        assert content[4:10] == hashlib.sha256(text.encode()).digest()[:6]
