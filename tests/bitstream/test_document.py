"""docs/bitstream.md is enough to read a `.sqc`: this reader is written from it alone, in whole numbers."""

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests import reference

GOLDEN = Path(__file__).parents[1] / "golden"
V1 = GOLDEN / "v1"
MODELS = Path(__file__).parents[2] / "sqcodec" / "models"
RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]
TOTAL = 2**20


def varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for group in range(9):
        value += (content[place + group] & 127) << 7 * group
        if content[place + group] < 128:
            break
    return value, place + group + 1


def read_sqc(content: bytes, tables: dict[str, np.ndarray] | None, codewords: int, context=None):
    version, flags, place = content[3] >> 4, content[3] & 15, 11
    assert content[:3] == b"SQC"
    assert version in (1, 2)
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
    length, codes, every_stages = -(-frames // 2), [], []
    number = max(1, (length + 250) // 500)
    for block in range(number):
        stop = len(content)
        if block < number - 1:
            size, place = varint(content, place)
            stop = place + size
        assert content[stop - 1] != 0
        x = int.from_bytes(content[place:stop], "little")
        count = 500 if block < number - 1 else length - 500 * block
        stages = [books] * count
        if version == 1:
            part, x = read_block(x, books, count, tables if flags & 1 else None, codewords)
        else:
            part, stages, x = read_with_context(x, books, count, context, may_end=bool(flags & 1))
        covered = header + block.to_bytes(4, "little") + part.astype("<u2").tobytes()
        assert x == zlib.crc32(covered + bytes(stages) * (version == 2 and flags & 1)) % 2**24
        codes.append(part)
        every_stages += stages
        place = stop
    return np.concatenate(codes, axis=1), every_stages


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


def r(a: int, n: int) -> int:
    return (a + (1 << n - 1)) >> n if n else a


def clip(a: int) -> int:
    return max(-127, min(127, a))


class Network:
    """The context model in Python's integers, one number at a time."""

    def __init__(self, arrays) -> None:
        self.a = {name: array.tolist() for name, array in arrays.items()}
        self.models_stages, self.size, self.dim = arrays["codewords"].shape
        self.units, self.width = arrays["gru.state.weight"].shape[1], arrays["stage.sum.weight"].shape[1]
        self.h = [0] * self.units

    def neurons(self, name, x, rows=None, stage=None):
        weight, bias = self.a[f"{name}.weight"], self.a.get(f"{name}.bias")
        weight, bias = (weight[stage], bias and bias[stage]) if stage is not None else (weight, bias)
        chosen = range(len(weight)) if rows is None else rows
        sums = [sum(p * q for p, q in zip(weight[i], x, strict=True)) + (bias[i] if bias else 0) for i in chosen]
        return sums, self.a[f"{name}.shift"][0]

    def scaled(self, *args, **kwargs):
        sums, shift = self.neurons(*args, **kwargs)
        return [r(value, shift - 5) for value in sums]

    def tangent(self, value: int) -> int:
        return self.a["tanh"][max(0, min(4095, r(value, 4) + 2048))]

    def sigmoid(self, value: int) -> int:
        return (self.a["tanh"][max(0, min(4095, r(value, 5) + 2048))] + 32768) // 2

    def frequencies(self, k: int, c: list[int], *, may_end: bool) -> list[int]:
        rows = range(self.width * k, self.width * (k + 1))
        layer = self.scaled("stage.state", [clip(r(value, 8)) for value in self.h], rows)
        seen = self.scaled("stage.sum", [clip(r(value, 7)) for value in c], stage=k)
        u = [clip(r(self.tangent(p + q), 8)) for p, q in zip(layer, seen, strict=True)]
        symbols = range(self.size + (may_end and k > 0))
        sums, shift = self.neurons("output", u, symbols, stage=k)
        e = [r(value, shift - 1) for value in sums]
        weights = [self.a["power"][max(e) - value] if max(e) - value < 4096 else 0 for value in e]
        return reference.frequencies(weights, TOTAL)

    def advance(self, c: list[int], n: int) -> None:
        x = [clip(r(value, 7)) for value in c] + [127 * (k < n) for k in range(self.models_stages)]
        g, q = self.scaled("gru.input", x), self.scaled("gru.state", [clip(r(value, 8)) for value in self.h])
        for i in range(self.units):
            j, k = i + self.units, i + 2 * self.units
            t = self.tangent(g[k] + r(self.sigmoid(g[i] + q[i]) * q[k], 15))
            self.h[i] = t + r(self.sigmoid(g[j] + q[j]) * (self.h[i] - t), 15)


def read_with_context(x: int, books: int, count: int, arrays, *, may_end: bool):
    network, codes, stages = Network(arrays), np.zeros((books, count), np.int64), []
    for time in range(count):
        c, n = [0] * network.dim, 0
        while n < books:
            shares = network.frequencies(n, c, may_end=may_end)
            u, v, start = x % TOTAL, 0, 0
            while u >= start + shares[v]:
                start += shares[v]
                v += 1
            x = x // TOTAL * shares[v] + u - start
            if v == network.size:
                break
            codes[n, time] = v
            c = [p + q for p, q in zip(c, network.a["codewords"][n][v], strict=True)]
            n += 1
        network.advance(c, n)
        stages.append(n)
    return codes, stages, x


def context_of(path: Path) -> dict[str, np.ndarray]:
    name = path.stem.partition("-")[0]
    if name == "speech16k":
        with safe_open(MODELS / "speech16k-1" / "model.safetensors", framework="numpy") as file:
            names = [key for key in file.keys() if key.startswith("context.")]  # noqa: SIM118
            return {key.removeprefix("context."): file.get_tensor(key) for key in names}
    with np.load(path.with_name(f"{name}.npz")) as arrays:
        return dict(arrays)


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
    codes, _stages = read_sqc(path.read_bytes(), tables, len(tables["0.counts"]))
    assert np.array_equal(codes, np.load(path.with_suffix(".codes.npy")))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("v2*/*.sqc")))
def test_the_document_reads_the_golden_files_of_version_2(name) -> None:
    path = GOLDEN / name
    context = context_of(path)
    codes, stages = read_sqc(path.read_bytes(), None, context["codewords"].shape[1], context)
    assert np.array_equal(codes, np.load(path.with_suffix(".codes.npy")))
    assert np.array_equal(stages, np.load(path.with_suffix(".stages.npy")))


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
