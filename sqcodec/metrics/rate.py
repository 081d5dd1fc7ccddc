"""Bit rates of codes side by side: nominal, by entropy of single codes and of codes given the one before, and on disk.

The entropies are those of the frequencies counted in the very codes that are rated (no table is paid for): what an
ideal coder that knows these frequencies would need. With few codes they are too low, the conditional one most of all:
with V codewords it has V^2 frequencies to learn.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.metrics.codebook_usage import entropy_bits


class Rates(NamedTuple):
    """bit/s: of fixed-length codes, of ideal coders, of the files themselves; `seconds` of sound, `codes` counted."""

    nominal: float
    unigram: float
    conditional: float
    on_disk: float
    seconds: float
    codes: int


def rates(
    files: Sequence[NDArray[np.integer]], *, codewords: Sequence[int], sizes: Sequence[int], seconds: float
) -> Rates:
    """files: codes [K, T] of each recording, -1 for none; codewords: V of each codebook; sizes: bytes of each file.

    seconds: of all recordings together. A file may have fewer codebooks.
    Stages are coded apart (K entropies are added), and no code is conditioned on another file's.
    """
    stages = [stage(files, codebook) for codebook in range(len(codewords))]
    single = [np.concatenate(codes) for codes in stages]
    pairs = [
        np.concatenate([_pairs(row, size) for codes in files for row in codes[codebook : codebook + 1]])
        for codebook, size in enumerate(codewords)
    ]
    alone = sum(  # a code without one before it, as the first of a file
        (len(codes) - len(joint)) * entropy(codes) for codes, joint in zip(single, pairs, strict=True)
    )
    conditional = alone + sum(
        len(joint) * (entropy(joint) - entropy(joint // size)) for joint, size in zip(pairs, codewords, strict=True)
    )
    return Rates(
        nominal=sum(len(codes) * (size - 1).bit_length() for codes, size in zip(single, codewords, strict=True))
        / seconds,
        unigram=sum(len(codes) * entropy(codes) for codes in single) / seconds,
        conditional=conditional / seconds,
        on_disk=8 * sum(sizes) / seconds,
        seconds=seconds,
        codes=sum(map(len, single)),
    )


def stage(files: Sequence[NDArray[np.integer]], codebook: int) -> list[NDArray[np.integer]]:
    """The codes [n] of one codebook in each file that has it; files: [K, T], -1 for none."""
    return [codes[codebook][codes[codebook] >= 0] for codes in files if codebook < len(codes)]


def entropy(symbols: NDArray[np.integer]) -> float:
    """Entropy in bits of the frequencies of symbols [n]; 0 of none."""
    return entropy_bits(np.unique(symbols, return_counts=True)[1])


def _pairs(codes: NDArray[np.integer], codewords: int) -> NDArray[np.int64]:
    """Each code that has one before it, and that one, as one number: [T - 1] of codes [T] without gaps."""
    before, after = codes[:-1].astype(np.int64), codes[1:].astype(np.int64)
    paired: NDArray[np.int64] = (before * codewords + after)[(before >= 0) & (after >= 0)]
    return paired
