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
    files: Sequence[NDArray[np.uint16]], *, codewords: Sequence[int], sizes: Sequence[int], seconds: float
) -> Rates:
    """files: codes [K, T] of each recording; codewords: V of each of the K codebooks; sizes: bytes of each file.

    seconds: of all recordings together.
    Stages are coded apart (K entropies are added), and no code is conditioned on another file's.
    """
    single = [np.concatenate([codes[codebook] for codes in files]) for codebook in range(len(codewords))]
    pairs = [
        np.concatenate([_pairs(codes[codebook], size) for codes in files]) for codebook, size in enumerate(codewords)
    ]
    total = sum(map(len, single))
    bits = sum(len(codes) * entropy(codes) for codes in single)
    firsts = sum(entropy(codes) for codes in single) * len(files)  # the first code of a file has none before it
    conditional = firsts + sum(
        len(joint) * (entropy(joint) - entropy(joint // size)) for joint, size in zip(pairs, codewords, strict=True)
    )
    return Rates(
        nominal=sum(len(codes) * (size - 1).bit_length() for codes, size in zip(single, codewords, strict=True))
        / seconds,
        unigram=bits / seconds,
        conditional=conditional / seconds,
        on_disk=8 * sum(sizes) / seconds,
        seconds=seconds,
        codes=total,
    )


def entropy(symbols: NDArray[np.integer]) -> float:
    """Entropy in bits of the frequencies of symbols [n]; 0 of none."""
    return entropy_bits(np.unique(symbols, return_counts=True)[1])


def _pairs(codes: NDArray[np.uint16], codewords: int) -> NDArray[np.int64]:
    """Each code and the one before it as one number: [T - 1]."""
    return codes[:-1].astype(np.int64) * codewords + codes[1:]
