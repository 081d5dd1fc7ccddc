"""Random crops, cut on the training device by index arithmetic."""

import math
import os
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sqcodec import ranks
from sqcodec.corpus.store import StoreSplit
from sqcodec.errors import TrainingError
from sqcodec.spectrogram import FEATURES, PEAK

_LOWEST = math.log(FEATURES["log-mel"].floor)


class Batch(NamedTuple):
    """features: [B, F, frames + 2] float32 with one frame of context on each side; speaker: [B] int64."""

    features: Tensor
    speaker: Tensor


def step_seed(seed: int, step: int, stream: int) -> int:
    """A 63-bit seed for one random stream of one step, so that a resumed training draws what an unbroken one would."""
    value = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + stream * 0x94D049BB133111EB) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return (value ^ value >> 31) >> 1


class Crops:
    """Draws the utterance uniformly among those longer than frames + 4, then the offset uniformly.

    The whole split lies on the device when it fits; otherwise frames are read from the memory-mapped file.
    `Batch.speaker` holds indices into `speakers` (0 if it is empty). level: range of the recording's peak, dB of full
    scale, drawn for each crop (only `log-mel` features carry a level).
    """

    def __init__(
        self,
        split: StoreSplit,
        speakers: tuple[str, ...],
        frames: int,
        device: torch.device,
        level: tuple[float, float] | None = None,
    ) -> None:
        rows = [row for row in split.rows if row.frames > frames + 4]
        if not rows:
            longest = max((row.frames for row in split.rows), default=0)
            raise TrainingError(
                f"no utterance of the training split is longer than {frames + 4} frames (the longest has {longest});"
                " lower train.frames or prepare longer recordings"
            )
        index = {speaker: number for number, speaker in enumerate(speakers)}
        self.frames, self.device = frames, device
        self._first = torch.tensor([row.frame for row in rows])
        self._choices = torch.tensor([row.frames - (frames + 2) + 1 for row in rows])
        self._speaker = torch.tensor([index[row.speaker] if index else 0 for row in rows])
        self._level, self._peak = level, torch.tensor([PEAK * row.gain for row in rows])
        self._mapped = split.features
        self._resident = torch.from_numpy(np.array(split.features)).to(device) if _fits(split, device) else None

    def draw(self, batch: int, seed: int) -> Batch:
        """This rank's part of a batch that the seed alone decides; batch: crops of all ranks together."""
        generator = torch.Generator().manual_seed(seed)
        row = ranks.own_rows(torch.randint(len(self._first), (batch,), generator=generator))
        position = ranks.own_rows(torch.rand(batch, generator=generator, dtype=torch.float64))
        start = self._first[row] + (position * self._choices[row]).long()
        index = start[:, None] + torch.arange(self.frames + 2)
        if self._resident is None:
            features = _sent(torch.from_numpy(np.asarray(self._mapped[index.numpy()])), self.device)
        else:
            features = self._resident[_sent(index, self.device)]
        features = features.float()
        if self._level is not None:
            low, high = self._level
            level = low + (high - low) * ranks.own_rows(torch.rand(batch, generator=generator))
            louder = level * (math.log(10.0) / 20.0) - self._peak[row].log()  # an offset of the logarithm, but for
            features = (features + _sent(louder, self.device)[:, None, None]).clamp_min(_LOWEST)  # the floor
        return Batch(features.transpose(1, 2).contiguous(), _sent(self._speaker[row], self.device))


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """Copied to the device; a GPU is not waited for."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values


def _fits(split: StoreSplit, device: torch.device) -> bool:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**32
    return int(split.features.nbytes) < 0.5 * free


def band_statistics(split: StoreSplit) -> tuple[Tensor, Tensor]:
    """Mean and deviation [F] of the features over (at most 200,000 evenly chosen frames of) a split."""
    every = max(1, len(split.features) // 200_000)
    frames = split.features[::every].astype(np.float64)
    return torch.from_numpy(frames.mean(0)).float(), torch.from_numpy(frames.std(0)).float()
