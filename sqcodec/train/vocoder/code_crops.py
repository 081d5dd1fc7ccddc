"""Crops of codes, the features and the sound that belong to them: what decoder and vocoder learn from together."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.corpus.store import StoreSplit
from sqcodec.recipe import VocoderTrainConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.train.vocoder.sound_crops import Crop, Draw, features_of, sound_of


class CodedBatch(NamedTuple):
    """codes [B, K, n] int64, -1: none; skipped: [B] frames of their decoded features before the crop; louder: [B], what
    brings decoded features to the crop's level (natural logarithm); features [B, F, T] and sound [B, hop T] recorded.
    """

    codes: Tensor
    skipped: Tensor
    louder: Tensor
    features: Tensor
    sound: Tensor


class CodeCrops:
    """Crops of a split with the codes [N, K] of its utterances, one after the other; each crop has 1 to K codebooks,
    uniform. before, after: codes of context."""

    def __init__(
        self,
        split: StoreSplit,
        codes: NDArray[np.uint16],
        config: FeatureConfig,
        train: VocoderTrainConfig,
        device: torch.device,
        *,
        before: int,
        after: int,
    ) -> None:
        self._draw, self._split, self._codes, self._config = Draw(split.rows, config, train), split, codes, config
        self._frames, self._device, self._before = train.frames, device, before
        self._length = before + -(-train.frames // config.frames_per_code) + 1 + after
        lengths = [-(-row.frames // config.frames_per_code) for row in split.rows]
        self._first = {row.name: int(first) for row, first in zip(split.rows, np.cumsum([0, *lengths]), strict=False)}

    def draw(self, seed: int) -> CodedBatch:
        """A batch that the seed alone decides."""
        drawing, per_code = self._draw.draw(seed), self._config.frames_per_code
        books = np.random.default_rng([seed, 1]).integers(1, self._codes.shape[1], len(drawing.crops), endpoint=True)
        codes = np.stack([self._cut(crop, int(book)) for crop, book in zip(drawing.crops, books, strict=True)])
        skipped = [self._before * per_code + crop.start % per_code for crop in drawing.crops]
        levelled = self._config.dynamic_range is None
        louder = [np.log(crop.gain / crop.row.gain) if levelled else 0.0 for crop in drawing.crops]
        sound = [sound_of(crop, self._split, self._config, self._frames) for crop in drawing.crops]
        return CodedBatch(
            torch.from_numpy(codes).to(self._device),
            torch.tensor(skipped, device=self._device),
            torch.tensor(louder, dtype=torch.float32, device=self._device),
            features_of(drawing, self._split, self._config, frames=self._frames, device=self._device),
            torch.stack(sound).to(self._device),
        )

    def _cut(self, crop: Crop, books: int) -> NDArray[np.int64]:
        """Codes [K, n] around a crop; -1 beyond the utterance, and in the codebooks after the first `books`."""
        per_code, first = self._config.frames_per_code, self._first[crop.row.name]
        total = -(-crop.row.frames // per_code)
        start = crop.start // per_code - self._before
        inside = slice(max(0, start), min(total, start + self._length))
        cut = np.full((self._codes.shape[1], self._length), -1, np.int64)
        cut[:books, inside.start - start : inside.stop - start] = self._codes[first:][inside, :books].T
        return cut
