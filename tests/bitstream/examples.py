"""Code spaces and codes for the tests of `.sqc`."""

from dataclasses import replace

import numpy as np

from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.context_model import ContextModel, from_arrays
from sqcodec.bitstream.context_model import tables as context_tables
from sqcodec.bitstream.entropy_tables import Tables, count
from sqcodec.codes import Codes
from sqcodec.spectrogram import FEATURES

SPEAKERS = ("p225", "p226", "s5")
LOG_MEL = FEATURES["log-mel"]


def walk(length: int, books: int, size: int, seed: int) -> np.ndarray:
    """Codes [K, T] uint16 of which each tells much of the next, and each book of the one above."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([0, 0, 0, 1, 1, 7], size=length)
    rows = [np.cumsum(steps) % size]
    for _ in range(1, books):
        rows.append((3 * rows[-1] + rng.integers(0, 2, length)) % size)
    return np.array(rows, dtype=np.uint16)


def make_tables(books: int = 1, size: int = 16) -> Tables:
    return count([walk(400, books, size, seed) for seed in range(5)], (size,) * books)


def make_space(
    books: int = 1, size: int = 16, *, tables: bool = True, context: bool = False, speakers=SPEAKERS
) -> CodeSpace:
    return CodeSpace(
        fingerprint="0123456789abcdef",
        features=LOG_MEL,
        codewords=(size,) * books,
        speakers=speakers,
        tables=make_tables(books, size) if tables else None,
        context=make_context(books, size) if context else None,
    )


def make_codes(samples: int = 48_000, books: int = 1, size: int = 16, seed: int = 9, **changes) -> Codes:
    rate = changes.get("sample_rate", 16000)
    fields = {
        "indices": walk(LOG_MEL.code_count(samples, rate), books, size, seed),
        "samples": samples, "sample_rate": rate,
        "gain": 1.0, "speaker": "p226", "fingerprint": "0123456789abcdef",
    }  # fmt: skip
    return Codes(**(fields | changes))


def make_context(books: int = 1, size: int = 16, *, dim: int = 5, hidden: int = 7, width: int = 6) -> ContextModel:
    """A context model with random weights, as large as 8 bits allow."""
    rng = np.random.default_rng(books * 100 + size)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-127, 128, shape).astype(np.int8)

    def biases(*shape: int) -> np.ndarray:
        return rng.integers(-40_000, 40_000, shape).astype(np.int32)

    shapes = {"gru.input": (3 * hidden, dim + books), "gru.state": (3 * hidden, hidden),
              "stage.state": (books * width, hidden), "stage.sum": (books, width, dim),
              "output": (books, size + 1, width)}  # fmt: skip
    shifts = {"gru.input": 6, "gru.state": 7, "stage.state": 7, "stage.sum": 5, "output": 6}
    arrays = {**context_tables(), "codewords": rng.integers(-9000, 9000, (books, size, dim)).astype(np.int16)}
    for name, shape in shapes.items():
        arrays[f"{name}.weight"] = weights(*shape)
        arrays[f"{name}.shift"] = np.array([shifts[name]], np.uint8)
        if name != "stage.sum":
            arrays[f"{name}.bias"] = biases(*shape[:-1])
    return from_arrays(arrays, where="x")


def with_stages(codes: Codes, seed: int = 3) -> Codes:
    """The codes with frames that end early."""
    books, length = codes.indices.shape
    stages = np.random.default_rng(seed).integers(1, books + 1, length).astype(np.uint8)
    indices = np.where(np.arange(books)[:, None] < stages, codes.indices, 0).astype(np.uint16)
    return replace(codes, indices=indices, stages=stages)
