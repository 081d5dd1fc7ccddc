"""What a model's codes take as files: bit rates, sizes, header, speed of the entropy coder."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import sqcodec
from benchmarks.speech import SAMPLE_RATE, recordings
from benchmarks.timing import usage
from sqcodec.bitstream import sqc
from sqcodec.bitstream.ans import pack_codes, unpack_codes
from sqcodec.bitstream.code_space import Coder
from sqcodec.bitstream.entropy_tables import TOTAL, Tables
from sqcodec.bitstream.sqc_header import read_header
from sqcodec.codes import Codes
from sqcodec.corpus.store import open_store
from sqcodec.errors import ModelError
from sqcodec.pipeline.training.count_tables import codes_of

CODES_PER_SECOND = 50
BLOCK = 10 * CODES_PER_SECOND
SIZES = (1, 3, 10, 60)  # seconds
CODERS: dict[Coder, str] = {"plain": "fixed width", "tables": "tables", "context": "context model"}
DISCOUNTS = (0.5, 0.75, 0.875)


def report(model: str, folder: Path, *, features: Path | None, every: int, runs: int) -> Iterator[str]:
    """Lines of text; features: the store that the model was trained on, to measure order 2 as well.

    Raises ModelError: no such model, or one without entropy tables; CorpusError: no recordings in `folder`.
    """
    codec = sqcodec.load(model, device="cpu")
    tables = codec.space.tables
    if tables is None:
        raise ModelError(f"{codec.path}: has no entropy tables; 'sqcodec tables' makes them")
    coded = [codec.encode(samples, 16000) for samples in recordings(folder, every=every)]
    seconds = sum(codes.samples for codes in coded) / SAMPLE_RATE
    yield f"{len(coded)} recordings, {seconds:.1f} s, {sum(codes.indices.size for codes in coded)} codes"
    yield from rates(codec, coded, tables, seconds)
    if features is not None:
        yield from order_2(coded, tables, count_triples(codec, features))
    yield from sizes(codec, coded)
    yield from speed(coded, tables, codec.space.codewords, runs)


def rates(codec: "sqcodec.Codec", coded: Sequence[Codes], tables: Tables, seconds: float) -> Iterator[str]:
    yield f"nominal                {nominal(codec, coded):7.1f} bit/s"
    for order in (0, 1):
        bits = sum(tables.bits(codes.indices, order) for codes in coded)
        yield f"order {order}                {bits / seconds:7.1f} bit/s"
    for coder in codec.space.by_coder:
        size = sum(len(sqc.pack(codes, codec.space, coder=coder)) for codes in coded)
        yield f".sqc, {CODERS[coder]:<17}{8 * size / seconds:7.1f} bit/s, everything included"


def nominal(codec: "sqcodec.Codec", coded: Sequence[Codes]) -> float:
    """bit/s of the codebooks that the codes use."""
    return codec.header.bit_rate(len(coded[0].indices))


def count_triples(codec: "sqcodec.Codec", features: Path) -> Counter[tuple[int, int, int]]:
    """How often three codes of the first codebook follow each other in the training split."""
    triples: Counter[tuple[int, int, int]] = Counter()
    for _, indices in codes_of(codec.model, open_store(features).splits["train"], torch.device("cpu")):
        row = indices[0].tolist()
        triples.update(zip(row, row[1:], row[2:], strict=False))
    return triples


def order_2(coded: Sequence[Codes], tables: Tables, triples: Counter[tuple[int, int, int]]) -> Iterator[str]:
    """The first codebook given the two codes before, by absolute discounting onto order 1."""
    codes = sum(recording.indices.shape[1] for recording in coded)
    one = sum(tables.bits(recording.indices[:1], 1) for recording in coded) / codes
    for discount in DISCOUNTS:
        two = sum(discounted_bits(recording, tables, triples, discount) for recording in coded) / codes
        yield f"order 2, discount {discount:<5}{two:7.3f} bits a code (order 1: {one:.3f})"


def discounted_bits(recording: Codes, tables: Tables, triples: Counter[tuple[int, int, int]], discount: float) -> float:
    """Bits of the first codebook of a recording; its first two codes by order 1."""
    times: Counter[tuple[int, int]] = Counter()
    kinds: Counter[tuple[int, int]] = Counter()
    for (first, second, _), number in triples.items():
        times[first, second] += number
        kinds[first, second] += 1
    row = recording.indices[0].tolist()
    bits = tables.bits(recording.indices[:1, :2], 1)
    for first, second, third in zip(row, row[1:], row[2:], strict=False):
        probability = tables.frequencies_of(0, second)[third] / TOTAL
        if total := times[first, second]:
            own = max(triples[first, second, third] - discount, 0)
            probability = (own + discount * kinds[first, second] * probability) / total
        bits -= math.log2(probability)
    return bits


def sizes(codec: "sqcodec.Codec", coded: Sequence[Codes]) -> Iterator[str]:
    """Files of 1, 3, 10 and 60 s, as far as there are codes, cut out of those of all recordings joined together."""
    joined = np.concatenate([codes.indices for codes in coded], axis=1)
    for seconds in SIZES:
        samples = seconds * SAMPLE_RATE
        length = codec.model.features.code_count(samples, SAMPLE_RATE)
        starts = range(0, joined.shape[1] - length, length)
        if not starts:
            continue
        whole = replace(coded[0], samples=samples)
        parts = [replace(whole, indices=joined[:, start : start + length]) for start in starts]
        files = [sqc.pack(part, codec.space, coder="tables") for part in parts]
        fixed = len(sqc.pack(parts[0], codec.space, coder="plain"))
        header = read_header(files[0], where="").size
        mean = statistics.mean(map(len, files))
        yield (
            f"{seconds:2} s: {mean:6.1f} bytes ({min(map(len, files))} to {max(map(len, files))}, {len(files)} files),"
            f" {8 * mean / seconds:.0f} bit/s with tables; header {header}; fixed width {fixed}; nominal alone"
            f" {nominal(codec, coded) * seconds / 8:.0f}"
        )


def speed(coded: Sequence[Codes], tables: Tables, codewords: tuple[int, ...], runs: int) -> Iterator[str]:
    """Codes a second of the entropy coder alone, in blocks of 10 s."""
    joined = np.concatenate([codes.indices for codes in coded], axis=1)
    blocks = [joined[:, start : start + BLOCK] for start in range(0, joined.shape[1], BLOCK)]
    for name, used in (("with tables", tables), ("without", None)):
        payloads = [pack_codes(block, 0xABCDEF, used, codewords) for block in blocks]
        assert all(unpacks(*pair, used, codewords) for pair in zip(payloads, blocks, strict=True))

        def encode(used: Tables | None = used) -> None:
            for block in blocks:
                pack_codes(block, 0xABCDEF, used, codewords)

        def decode(used: Tables | None = used, payloads: Sequence[bytes] = payloads) -> None:
            for payload, block in zip(payloads, blocks, strict=True):
                unpack_codes(payload, block.shape, used, codewords)

        for verb, work in (("encode", encode), ("decode", decode)):
            median = statistics.median(joined.shape[1] / usage(work).wall for _ in range(runs))
            yield f"{verb} {name}: {median:.3g} codes/s, {median / CODES_PER_SECOND:.0f} times real time"


def unpacks(payload: bytes, block: NDArray[np.uint16], tables: Tables | None, codewords: tuple[int, ...]) -> bool:
    return np.array_equal(unpack_codes(payload, block.shape, tables, codewords)[0], block)
