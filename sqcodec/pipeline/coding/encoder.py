"""`Encoder`: recordings to codes, block by block; of whole codebooks, or as many bits as a goal allows."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.rate_search import Latents
from sqcodec.codes import Codes
from sqcodec.engine import Analysed, EncodedBlock, Engine
from sqcodec.errors import CodesError
from sqcodec.features.loudness import code_weights, frame_powers
from sqcodec.features.mel import Statistics, features_of
from sqcodec.model.model_header import ModelHeader, no_codes
from sqcodec.pipeline.coding.fitting import index_of
from sqcodec.pipeline.coding.rate_control import Fitted, Goal, check_bit_rate, fit
from sqcodec.pipeline.finding.models import model_name
from sqcodec.recording import Recording

if TYPE_CHECKING:
    from sqcodec.model.spectrogram_codec import SpectrogramCodec


class Encoder:
    """Encodes with one model, several recordings at once where its engine gains by that.

    network: opens the model in torch, which the search for a speaker needs.
    """

    def __init__(
        self, header: ModelHeader, space: CodeSpace, engine: Engine, network: Callable[[], "SpectrogramCodec"]
    ) -> None:
        self._header, self._space, self._engine, self._network = header, space, engine, network

    @property
    def has_true_rates(self) -> bool:
        """Whether files of any bit rate can be made: with a context model."""
        return self._space.context is not None

    def codebooks_for(self, *, codebooks: int | None, bit_rate: float | None) -> int:
        """Number of codebooks to use: `codebooks`, else by a nominal bit_rate (bit/s), else by the recipe, else all.

        The one place of this default. Raises CodesError: both are given, no such number or rate, the model has fewer,
        or one codebook exceeds the bit rate.
        """
        if codebooks is not None and bit_rate is not None:
            raise CodesError("`codebooks` and `bitrate` exclude each other; give one of them")
        if codebooks is not None and not (isinstance(codebooks, int | np.integer) and codebooks >= 1):
            raise CodesError(f"`codebooks` {codebooks!r}: expected a whole number of at least 1")
        if bit_rate is not None:
            check_bit_rate(bit_rate)
        available, name = len(self._header.codewords), model_name(self._header.path)
        limit = bit_rate or self._header.recipe.get("bit_rate")
        if codebooks is None and limit is not None:
            each = self._header.bit_rate(1)
            codebooks = min(available, int(limit / each))
            if not codebooks:
                setting = f"`bitrate` {limit:g}" if bit_rate else f"recipe {self._header.name}: bit_rate {limit:g}"
                raise CodesError(f"{setting}: the lowest of {name} is {each:g} bit/s")
        if codebooks is not None and codebooks > available:
            raise CodesError(f"`codebooks` {codebooks}: {name} has {available}")
        return codebooks or available

    def encode(
        self, recordings: Iterable[Recording], *, speaker: str | None, codebooks: int | None, bit_rate: float | None
    ) -> Iterator[Codes]:
        """Codes of each recording, of whole codebooks, chosen by `codebooks_for`; speaker: None: the model's nearest.

        Raises ModelError: the model is a plain VAE; CodesError: it has no such speaker.
        """
        if not self._header.codewords:
            raise no_codes(model_name(self._header.path))
        codebooks = self.codebooks_for(codebooks=codebooks, bit_rate=bit_rate)
        for recording, statistics, blocks in self._blocks(recordings, speaker, codebooks):
            if speaker is None and self._header.speakers:
                indices, nearest = self._with_speaker(blocks)
                yield self._codes(recording, statistics, indices, nearest)
            else:
                yield self._codes(recording, statistics, [block.codes for block in blocks], speaker)

    def encode_for(
        self, recordings: Iterable[Recording], goal: Goal, *, speaker: str | None, block: int
    ) -> Iterator[Fitted]:
        """Codes of each recording that fit a goal; block: codes a book in a block of the file.

        Raises CodesError: the model has no context model, or no file is as small; otherwise as `encode`.
        """
        for codes, latents in self.latents(recordings, speaker=speaker):
            yield fit(codes, latents, self._engine.embeddings(), self._space, goal, block)

    def latents(self, recordings: Iterable[Recording], *, speaker: str | None) -> Iterator[tuple[Codes, Latents]]:
        """What is to be coded of each recording, with codes that hold its length, level and speaker: of one codebook,
        or of all where the speaker is searched.

        Raises as `encode_for`.
        """
        if not self.has_true_rates:
            raise CodesError(f"{self._header.path}: true bit rates need a context model")
        codebooks = len(self._header.codewords) if self._header.speakers else 1  # all say who is nearest
        for recording, statistics, encoded in self._blocks(recordings, speaker, codebooks):
            latents, powers = list[NDArray[np.float32]](), list[NDArray[np.float64]]()
            blocks = self._noted(encoded, latents, powers)
            who = speaker
            if speaker is None and self._header.speakers:
                indices, who = self._with_speaker(blocks)
            else:
                indices = [block.codes for block in blocks]
            weights = code_weights(powers, self._header.features, self._loudness)
            yield self._codes(recording, statistics, indices, who), self._measured(np.concatenate(latents), weights)

    def _noted(
        self, blocks: Iterable[EncodedBlock], latents: list[NDArray[np.float32]], powers: list[NDArray[np.float64]]
    ) -> Iterator[EncodedBlock]:
        """The blocks, of which latents and powers of the frames are kept; features would take 115 MB an hour."""
        for block in blocks:
            latents.append(block.latents)
            powers.append(frame_powers(block.features, self._header.features))
            yield block

    def _measured(self, encoded: NDArray[np.float32], weights: NDArray[np.float32]) -> Latents:
        """What is to be coded, of the encoder's output [T, channels] and the weights [T] of errors."""
        if self._header.recipe["quantizer"]["kind"] == "residual":
            return Latents(encoded, weights)
        import torch  # which runs the networks of every other quantiser

        quantizer = self._network().quantizer
        measured = quantizer.measured(torch.from_numpy(encoded)[None].to(quantizer.codebook.device))
        z, own = (values[0].numpy(force=True) for values in measured)
        return Latents(z, own * weights[:, None])

    def _blocks(
        self, recordings: Iterable[Recording], speaker: str | None, codebooks: int
    ) -> Iterator[tuple[Recording, Statistics, Iterable[EncodedBlock]]]:
        """Each recording, its statistics and its encoded blocks; the speaker's name is checked before the work."""
        if speaker is not None:
            index_of(speaker, self._header)
        read = deque[tuple[Recording, Statistics]]()  # the engine reads ahead of what it has encoded

        def analysed() -> Iterator[Analysed]:
            for recording in recordings:
                statistics, features = features_of(recording, self._header.features)
                read.append((recording, statistics))
                yield Analysed(features, self._header.features.frame_count(statistics.samples))

        for blocks in self._engine.encode_each(analysed(), codebooks=codebooks):
            yield *read.popleft(), blocks

    def _codes(
        self, recording: Recording, statistics: Statistics, indices: list[NDArray[np.uint16]], speaker: str | None
    ) -> Codes:
        return Codes(
            indices=np.concatenate(indices, axis=1),
            samples=recording.input_samples,
            sample_rate=recording.rate,
            gain=self._gain(statistics),
            speaker=speaker,
            fingerprint=self._header.fingerprint,
        )

    def _with_speaker(self, blocks: Iterable[EncodedBlock]) -> tuple[list[NDArray[np.uint16]], str]:
        """The codes of all blocks, and the nearest speaker."""
        from sqcodec.pipeline.coding.speaker_search import Probe, nearest_speaker  # imports torch

        probe, indices = Probe(self._header.features), []
        for block in blocks:
            probe.offer_(block)
            indices.append(block.codes)
        return indices, nearest_speaker(self._network(), probe)

    @property
    def _loudness(self) -> float:
        """How much training weighed errors by loudness."""
        return float(self._header.recipe.get("target", {}).get("loudness") or 0.0)

    def _gain(self, statistics: Statistics) -> float:
        """Factor on the decoded sound: 0 for silence, 1 for features that hold the level (no utterance statistics)."""
        if self._header.features.dynamic_range is None:
            return 1.0 if statistics.peak else 0.0
        return statistics.gain
