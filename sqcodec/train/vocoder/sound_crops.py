"""Crops of features and the sound that belongs to them, at random levels, some blurred as a codec would."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sqcodec.corpus.store import StoreRow, StoreSplit
from sqcodec.errors import TrainingError
from sqcodec.recipe import VocoderTrainConfig
from sqcodec.spectrogram import PEAK, FeatureConfig

_WIDEST = 1.5  # standard deviation of the blur, in frames and in bands


class Batch(NamedTuple):
    """features: [B, F, T]; sound: [B, hop T], of which the samples hop t to hop (t + 1) - 1 belong to frame t."""

    features: Tensor
    sound: Tensor


class Crop(NamedTuple):
    """Where one crop begins (frame `start` of an utterance), and by what the recording is multiplied."""

    row: StoreRow
    start: int
    gain: float


class Drawing(NamedTuple):
    """Crops of one batch, which are blurred [B], and the standard deviations of the blur in time and frequency."""

    crops: list[Crop]
    blurred: Tensor
    widths: tuple[float, float]


class Draw:
    """Draws crops of train.frames frames whose sound lies within their utterance, each position as likely as any other.

    Features that carry a level: the peak of the recording is scaled to a level drawn from train.level. Features with
    utterance statistics come from peak-normalised sound and stay as they are.
    """

    def __init__(self, rows: Sequence[StoreRow], config: FeatureConfig, train: VocoderTrainConfig) -> None:
        self._rows = [row for row in rows if row.frames >= train.frames + 2]
        if not self._rows:
            longest = max((row.frames for row in rows), default=0)
            raise TrainingError(
                f"no utterance of the training split has {train.frames + 2} frames or more (the longest has {longest});"
                " lower vocoder.train.frames (stage joint: joint.vocoder.train.frames) or prepare longer recordings"
            )
        self._train, self._levelled = train, config.dynamic_range is None
        # Frame 0 would make half a hop before the first sample, and the last frame some after the end: neither is in a
        # crop.
        self._ends = np.cumsum([row.frames - train.frames - 1 for row in self._rows])

    def draw(self, seed: int) -> Drawing:
        """What the seed alone decides."""
        random, batch = np.random.default_rng(seed), self._train.batch
        positions = random.integers(self._ends[-1], size=batch)
        numbers = np.searchsorted(self._ends, positions, side="right")
        levels = random.uniform(*self._train.level, batch)
        crops = []
        for position, number, level in zip(positions.tolist(), numbers.tolist(), levels.tolist(), strict=True):
            row = self._rows[number]
            start = 1 + position - (int(self._ends[number - 1]) if number else 0)
            crops.append(Crop(row, start, 10 ** (level / 20) / PEAK if self._levelled else 1.0))
        blurred = torch.from_numpy(random.random(batch) < self._train.smoothing)
        in_time, in_frequency = random.uniform(0, _WIDEST, 2).tolist()
        return Drawing(crops, blurred, (in_time, in_frequency))


def features_of(
    drawing: Drawing, split: StoreSplit, config: FeatureConfig, *, frames: int, device: torch.device
) -> Tensor:
    """The crops' features [B, F, T], at the level drawn, blurred where drawn."""
    return blurred(recorded_features(drawing, split, config, frames=frames, device=device), drawing)


def recorded_features(
    drawing: Drawing, split: StoreSplit, config: FeatureConfig, *, frames: int, device: torch.device
) -> Tensor:
    """The crops' features [B, F, T], at the level drawn."""
    return torch.stack([_levelled(crop, split, config, frames) for crop in drawing.crops]).to(device)


def _levelled(crop: Crop, split: StoreSplit, config: FeatureConfig, frames: int) -> Tensor:
    stored = torch.from_numpy(split.features_of(crop.row, crop.start, frames))
    if config.dynamic_range is not None:
        return stored
    louder = math.log(crop.gain / crop.row.gain)  # a gain is an offset of the logarithm, but for the floor
    return (stored + louder).clamp_min(math.log(config.floor))


def blurred(features: Tensor, drawing: Drawing) -> Tensor:
    """features [B, F, T], those chosen by the drawing convolved with its Gaussian."""
    if not drawing.blurred.any():
        return features
    in_time, in_frequency = (_gaussian(width).to(features) for width in drawing.widths)
    half_time, half_frequency = len(in_time) // 2, len(in_frequency) // 2
    kernel = (in_frequency[:, None] * in_time)[None, None]
    padded = functional.pad(features[:, None], (half_time, half_time, half_frequency, half_frequency), mode="replicate")
    return torch.where(
        drawing.blurred[:, None, None].to(features.device), functional.conv2d(padded, kernel)[:, 0], features
    )


def _gaussian(width: float) -> Tensor:
    half = math.ceil(3 * width)
    weight = torch.exp(-0.5 * (torch.arange(-half, half + 1) / max(width, 1e-3)) ** 2)
    return weight / weight.sum()


def sound_of(crop: Crop, split: StoreSplit, config: FeatureConfig, frames: int) -> Tensor:
    """The sound [hop T] of a crop of T = `frames` frames, at the level drawn."""
    first, samples = crop.start * config.hop_length - config.hop_length // 2, frames * config.hop_length
    return torch.from_numpy(split.sound(crop.row, first, samples, gain=crop.gain))


class SoundCrops:
    """Crops of a split: features and the sound they are to become."""

    def __init__(
        self, split: StoreSplit, config: FeatureConfig, train: VocoderTrainConfig, device: torch.device
    ) -> None:
        self._draw, self._split, self._config = Draw(split.rows, config, train), split, config
        self._frames, self._device = train.frames, device

    def draw(self, seed: int) -> Batch:
        """A batch that the seed alone decides."""
        drawing = self._draw.draw(seed)
        features = features_of(drawing, self._split, self._config, frames=self._frames, device=self._device)
        sound = [sound_of(crop, self._split, self._config, self._frames) for crop in drawing.crops]
        return Batch(features, torch.stack(sound).to(self._device))
