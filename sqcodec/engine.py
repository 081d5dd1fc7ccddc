"""What runs a codec's networks: the interface that the engines in NumPy and in torch share."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]  # [F, t]


class Analysed(NamedTuple):
    """A recording to encode: its features in blocks [F, t], `frames` in all."""

    features: Iterable[Features]
    frames: int


class Chosen(NamedTuple):
    """Codes to decode [K, T] int64 (-1: none), and the index of the speaker who is to say them."""

    codes: NDArray[np.int64]
    speaker_index: int


class EncodedBlock(NamedTuple):
    """A block of a recording: features [F, t], their codes [K, t / frames per code] uint16, and the encoder's output
    [t / frames per code, channels], which they code."""

    features: Features
    codes: NDArray[np.uint16]
    latents: NDArray[np.float32]


class Engine(Protocol):
    """The networks of one model, at inference. Memory does not grow with the length of a recording."""

    @property
    def device(self) -> str:
        """Where they run: `cpu`, `cuda` or `cuda:N`."""

    def encode(self, features: Iterable[Features], frames: int, *, codebooks: int) -> Iterator[EncodedBlock]:
        """Encode a recording given in blocks of features, `frames` in all, with the first `codebooks`.

        The last frame is repeated up to a whole code.
        """

    def decode(self, codes: NDArray[np.int64], speaker_index: int) -> Iterator[Features]:
        """Decode codes [K, T] (-1: none) in blocks: features [F, frames per code x T] in all."""

    def encode_each(self, recordings: Iterable[Analysed], *, codebooks: int) -> Iterator[Iterator[EncodedBlock]]:
        """As `encode`, of each of several, where it pays in batches; the blocks of one are taken before the next."""
        for features, frames in recordings:
            yield self.encode(features, frames, codebooks=codebooks)

    def decode_each(self, several: Iterable[Chosen]) -> Iterator[Iterator[Features]]:
        """As `decode`, of each of several, where it pays in batches; the blocks of one are taken before the next."""
        for codes, speaker_index in several:
            yield self.decode(codes, speaker_index)

    def embeddings(self) -> NDArray[np.float32]:
        """The codewords [K, V, D], a copy."""
