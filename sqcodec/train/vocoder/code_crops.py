"""Crops of codes, the features and the sound that belong to them: what decoder and vocoder learn from together."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.bitstream.equal_prices import ends, price_of
from sqcodec.corpus.store import StoreSplit
from sqcodec.recipe import VocoderTrainConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.train.prefix_codes import PrefixCodes
from sqcodec.train.vocoder.sound_crops import Crop, Draw, recorded_features, sound_of

_WHOLE = 0.5  # of the crops: every frame has as many stages
_WIDTH = 8.0  # bits of a code, which all cost the same here: the price is sought that gives the mean


class CodedBatch(NamedTuple):
    """codes [B, K, n] int64, -1: none; skipped: [B] frames of their decoded features before the crop; louder: [B], what
    brings decoded features to the crop's level (natural logarithm); features [B, F, T] and sound [B, hop T] recorded.
    stages: the mean number of stages in the whole utterance of each row, as it is coded there.
    """

    codes: Tensor
    skipped: Tensor
    louder: Tensor
    features: Tensor
    sound: Tensor
    stages: list[float]


class CodeCrops:
    """Crops of a split with the codes of its utterances, as encoders write them: half of the crops have 1 to K whole
    codebooks; in the others each frame has the stages that it would have in a file whose mean is between 1 and K. Every
    octave of the rate is as likely. before, after: codes of context."""

    def __init__(
        self,
        split: StoreSplit,
        coded: PrefixCodes,
        config: FeatureConfig,
        train: VocoderTrainConfig,
        device: torch.device,
        *,
        before: int,
        after: int,
    ) -> None:
        self._draw, self._split, self._coded, self._config = Draw(split.rows, config, train), split, coded, config
        self._frames, self._device, self._before = train.frames, device, before
        self._length = before + -(-train.frames // config.frames_per_code) + 1 + after
        lengths = [-(-row.frames // config.frames_per_code) for row in split.rows]
        self._first = {row.name: int(first) for row, first in zip(split.rows, np.cumsum([0, *lengths]), strict=False)}

    def draw(self, seed: int) -> CodedBatch:
        """A batch that the seed alone decides."""
        drawing, per_code = self._draw.draw(seed), self._config.frames_per_code
        random, number = np.random.default_rng([seed, 1]), len(drawing.crops)
        books, means = rates(random, number, self._coded.stages)
        wanted = zip(drawing.crops, books.tolist(), means.tolist(), strict=True)
        cuts, stages = zip(*(self._cut(crop, book, mean) for crop, book, mean in wanted), strict=True)
        skipped = [self._before * per_code + crop.start % per_code for crop in drawing.crops]
        levelled = self._config.dynamic_range is None
        louder = [np.log(crop.gain / crop.row.gain) if levelled else 0.0 for crop in drawing.crops]
        sound = [sound_of(crop, self._split, self._config, self._frames) for crop in drawing.crops]
        return CodedBatch(
            torch.from_numpy(np.stack(cuts)).to(self._device),
            torch.tensor(skipped, device=self._device),
            torch.tensor(louder, dtype=torch.float32, device=self._device),
            recorded_features(drawing, self._split, self._config, frames=self._frames, device=self._device),
            torch.stack(sound).to(self._device),
            list(stages),
        )

    def _cut(self, crop: Crop, books: int, mean: float) -> tuple[NDArray[np.int64], float]:
        """Codes [K, n] around a crop; -1 beyond the utterance, and in the codebooks that a frame does not have. And the
        mean number of stages of the utterance."""
        per_code, first = self._config.frames_per_code, self._first[crop.row.name]
        total = -(-crop.row.frames // per_code)
        start = crop.start // per_code - self._before
        inside = slice(max(0, start), min(total, start + self._length))
        stages = np.full(total, books) if mean == 0 else self._ends(slice(first, first + total), mean)
        cut = np.full((self._coded.stages, self._length), -1, np.int64)
        rows = slice(first + inside.start, first + inside.stop)
        cut[:, inside.start - start : inside.stop - start] = self._coded.cut(rows, stages[inside])
        return cut, float(stages.mean())

    def _ends(self, utterance: slice, mean: float) -> NDArray[np.int64]:
        """The stages [n] of a file with so many in the mean."""
        errors = self._coded.errors[utterance].T.astype(np.float32)
        price = price_of(errors, mean * errors.shape[1], _WIDTH)
        return ends(errors, price, _WIDTH).astype(np.int64)


def rates(random: np.random.Generator, number: int, stages: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each crop how many whole codebooks, 1 to `stages`, and the mean number of stages that its file has, 0: whole
    codebooks are meant. Every octave is as likely."""
    books = np.floor((stages + 1) ** random.random(number)).astype(np.int64)
    means = stages ** random.random(number)
    return books, np.where(random.random(number) < _WHOLE, 0.0, means)
