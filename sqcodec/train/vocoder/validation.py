"""Copy-synthesis of some held-out recordings while a vocoder trains: figures for the log, sound for TensorBoard."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.corpus.store import StoreRow, StoreSplit
from sqcodec.errors import MetricError, TrainingError
from sqcodec.features.mel import extract
from sqcodec.metrics.pesq import pesq_wb
from sqcodec.metrics.signals import METRIC_RATE
from sqcodec.resampling import resample
from sqcodec.spectrogram import FeatureConfig

_MAX_FRAMES = 1000  # of a recording; the rest is left out


class Validation(NamedTuple):
    """figures: for the log; sounds: [n] by name."""

    figures: dict[str, float]
    sounds: dict[str, NDArray[np.float32]]


class Synthesiser(Protocol):
    """A vocoder that is validated."""

    def synthesise(self, features: Tensor) -> Tensor:
        """features [B, F, T] -> sound [B, hop T - hop / 2]."""


class Validator:
    """The first `files` recordings of a split, features and recorded sound at the level of the features."""

    def __init__(self, split: StoreSplit, config: FeatureConfig, *, files: int) -> None:
        self._split, self._config, self._rows = split, config, split.rows[:files]

    def validate(self, vocoder: Synthesiser) -> Validation:
        """test_mel_distance: mean |difference| of the features, in dB; test_pesq: wide band, where the package is
        installed, without recordings that it refuses."""
        distances, scores, sounds, rate = [], [], {}, self._config.sample_rate
        for row in self._rows:
            features, recorded = self._stored(row)
            synthesised = vocoder.synthesise(features[None])[0, : len(recorded)].cpu()
            recorded = recorded[: len(synthesised)]
            difference = extract(synthesised, self._config) - extract(recorded, self._config)
            distances.append(difference.abs().mean().item() * self._config.decibels_per_unit)
            sounds[row.name] = synthesised.numpy()
            try:
                scores.append(
                    pesq_wb(*(resample(sound.numpy(), rate, METRIC_RATE) for sound in (recorded, synthesised)))
                )
            except MetricError:  # no package, or nothing in the recording that PESQ calls speech
                continue
        if not np.isfinite(distances).all():
            raise TrainingError("the vocoder's sound is not finite; lower the learning rate of its training")
        figures = {"test_mel_distance": float(np.mean(distances))}
        return Validation(figures | ({"test_pesq": float(np.mean(scores))} if scores else {}), sounds)

    def _stored(self, row: StoreRow) -> tuple[Tensor, Tensor]:
        frames = min(row.frames, _MAX_FRAMES)
        stored, hop = self._split.features_of(row, frames=frames), self._config.hop_length
        level = row.gain if self._config.dynamic_range is None else 1.0
        sound = self._split.sound(row, samples=min(row.samples, hop * frames - hop // 2), gain=level)
        return torch.from_numpy(stored), torch.from_numpy(sound)
