"""The engine in NumPy: codecs with ConvNeXt networks and a residual quantiser, without torch."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sqcodec.codes import fingerprint
from sqcodec.engine import EncodedBlock, Engine, Features
from sqcodec.errors import ModelError
from sqcodec.model.model_header import ModelContents, ModelHeader
from sqcodec.runtime.networks import Decoder, Encoder
from sqcodec.runtime.search import dequantise, search
from sqcodec.runtime.threads import one_thread
from sqcodec.runtime.weights import Array, Weights
from sqcodec.windows import encoder_windows

_Part = TypeVar("_Part")
_FRAMES = 2000  # encoded at once, without the context: 4 % of it
_CODES = 2000  # decoded at once, without the context: 3 % of it


def knows(header: ModelHeader) -> bool:
    """Whether the engine runs this model; torch runs all others."""
    recipe = header.recipe
    return bool(
        recipe["network"].get("kind") == "convnext"
        and recipe["quantizer"]["kind"] == "residual"
        and recipe["target"]["kind"] == "mel"
    )


class NumpyEngine(Engine):
    """A codec as an `Engine`. Encoder and decoder are made when they are first used.

    Raises ModelError: the file is damaged.
    """

    def __init__(self, contents: ModelContents) -> None:
        header, self._weights = contents.header, Weights(contents.weights)
        self._header, self._features, self._network = header, header.features, header.recipe["network"]
        shape = len(header.codewords), header.codewords[0], int(header.recipe["quantizer"]["dim"])
        self.codebook = self._fitting(lambda: self._weights.section("quantizer").get("codebook", *shape))
        found = fingerprint(header.features, self.codebook, codebooks=len(header.codewords))
        if found != header.fingerprint:
            raise ModelError(
                f"{header.path}: the header names fingerprint {header.fingerprint}, the weights give {found};"
                " the file is damaged: train or fetch it again"
            )

    @property
    def device(self) -> str:
        """See `Engine`."""
        return "cpu"

    def encode(self, features: Iterable[Features], frames: int, *, codebooks: int) -> Iterator[EncodedBlock]:
        """See `Engine`."""
        per_code, margin = self._features.frames_per_code, self.encoder.margin
        windows = encoder_windows(features, frames, per_code=per_code, margin=margin, block=_FRAMES)
        for window, start, stop in windows:
            with one_thread():
                latents = self.latents(window)[start // per_code : stop // per_code]
                codes = search(latents, self.codebook[:codebooks])
            yield EncodedBlock(window[:, 1 + start : 1 + stop], codes, latents)

    def latents(self, window: Features) -> Array:
        """Features [F, frames per code x T + 2], a frame of context on each side -> latents [T, D]."""
        return self.encoder(np.ascontiguousarray(window.T))

    def decode(self, codes: NDArray[np.int64], speaker_index: int) -> Iterator[Features]:  # noqa: ARG002
        """See `Engine`; the speaker index is ignored: these models take any speaker."""
        per_code, decoder, total = self._features.frames_per_code, self.decoder, codes.shape[1]
        for begin in range(0, total, _CODES):
            end = min(total, begin + _CODES)
            first, last = max(0, begin - decoder.margin), min(total, end + decoder.margin)
            with one_thread():
                decoded = decoder(dequantise(codes[:, first:last], self.codebook))
            yield decoded[per_code * (begin - first) : per_code * (end - first)].T

    def embeddings(self) -> NDArray[np.float32]:
        """See `Engine`."""
        return np.array(self.codebook, np.float32)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder. Raises ModelError: its weights do not fit the header."""
        return self._fitting(
            lambda: Encoder(
                self._weights.section("encoder"),
                self._network,
                bands=self._features.n_mels,
                per_code=self._features.frames_per_code,
                latents=self.codebook.shape[2],
            )
        )

    @cached_property
    def decoder(self) -> Decoder:
        """The decoder. Raises ModelError: its weights do not fit the header."""
        return self._fitting(
            lambda: Decoder(
                self._weights.section("decoder"),
                self._network,
                bands=self._features.n_mels,
                per_code=self._features.frames_per_code,
                codeword=self.codebook.shape[2],
            )
        )

    def _fitting(self, make: Callable[[], _Part]) -> _Part:
        """A part of the model. Raises ModelError: its weights do not fit the header."""
        try:
            return make()
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self._header.path}: the weights do not fit the recipe inside; the file is damaged: {error}"
            ) from None
