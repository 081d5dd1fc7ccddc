"""What is left of a recording whose file travels over a bad link, by bit error rate and length of blocks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import sqcodec
from benchmarks.speech import SAMPLE_RATE, recordings
from sqcodec.bitstream import recovery, sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.errors import CodesError

BLOCKS = (10.0, 5.0, 2.0, 1.0, 0.5)  # seconds
ERROR_RATES = (1e-5, 1e-4, 1e-3)  # bits in error


def report(model: str, folder: Path, *, seconds: float, copies: int) -> Iterator[str]:
    """Lines of a table in Markdown: of `seconds` of the recordings in `folder`, the share that survives in `copies`.

    Raises ModelError: no such model; CorpusError: no recordings in `folder`.
    """
    codec = sqcodec.load(model, device="cpu")
    sound = np.concatenate(list(recordings(folder)))
    sound = np.resize(sound, round(seconds * SAMPLE_RATE))
    codes = codec.encode(sound, sample_rate=SAMPLE_RATE)
    yield f"{seconds:g} s, {codes.number} codes, {copies} copies at each error rate"
    yield ""
    yield "| block | bytes | " + " | ".join(f"{rate:g}" for rate in ERROR_RATES) + " |"
    yield "|---|---|" + "---|" * len(ERROR_RATES)
    for length in BLOCKS:
        content = sqc.pack(codes, codec.space, block=round(length * codec.space.features.code_rate))
        shares = [survival(content, codec.space, rate, copies) for rate in ERROR_RATES]
        listed = " | ".join(f"{share:.1%}" for share in shares)
        yield f"| {length:g} s | {len(content)} | {listed} |"


def survival(content: bytes, space: CodeSpace, error_rate: float, copies: int) -> float:
    """The mean share of a file's codes that is recovered; nothing of a copy whose header is damaged."""
    rng, share = np.random.default_rng(0), 0.0
    for _ in range(copies):
        bits = np.unpackbits(np.frombuffer(content, np.uint8))
        damaged = np.packbits(bits ^ (rng.random(len(bits)) < error_rate)).tobytes()
        try:
            got = recovery.recover(damaged, space, where="x")
        except CodesError:
            continue
        length = got.codes.indices.shape[1]
        share += 1 - sum(block.stop - block.start for block in got.lost) / length
    return share / copies
