"""Code spaces and codes for the tests of `.sqc`."""

import numpy as np

from sqcodec.bitstream.code_space import CodeSpace
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


def make_space(books: int = 1, size: int = 16, *, tables: bool = True, speakers=SPEAKERS) -> CodeSpace:
    return CodeSpace(
        fingerprint="0123456789abcdef",
        features=LOG_MEL,
        codewords=(size,) * books,
        speakers=speakers,
        tables=make_tables(books, size) if tables else None,
    )


def make_codes(samples: int = 48_000, books: int = 1, size: int = 16, seed: int = 9, **changes) -> Codes:
    rate = changes.get("sample_rate", 16000)
    fields = {
        "indices": walk(LOG_MEL.code_count(samples, rate), books, size, seed),
        "samples": samples, "sample_rate": rate,
        "gain": 1.0, "speaker": "p226", "fingerprint": "0123456789abcdef",
    }  # fmt: skip
    return Codes(**(fields | changes))
