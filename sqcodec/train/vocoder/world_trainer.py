"""The training of the WORLD vocoder's network: regression on what WORLD finds in the recordings."""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sqcodec.recipe import WorldConfig
from sqcodec.train.crops import band_statistics, step_seed
from sqcodec.train.vocoder.sound_crops import Crop, Draw, features_of
from sqcodec.train.vocoder.vocoder_trainer import CROPS, INITIAL, VocoderTrainer
from sqcodec.train.vocoder.world_targets import chosen_rows, world_targets
from sqcodec.vocoder.world import F0_CLASSES, Prediction, WorldNetwork, WorldVocoder, f0_class, louder_envelope

_BLUR = 1.0  # classes; standard deviation of the label of an F0 class


class WorldTrainer(VocoderTrainer):
    """One network, one optimiser; the targets are computed before the first step."""

    config: WorldConfig

    def _build(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        train, split = self.config.train, self.store.splits["train"]
        torch.manual_seed(step_seed(train.seed, 0, INITIAL))
        network = WorldNetwork(self.config, self.features)
        rows = chosen_rows(split, self.config.minutes, self.features.frame_rate)
        self._draw = Draw(rows, self.features, train)
        values = world_targets(self.store, rows, envelope=self.config.envelope)
        self._targets = {row.name: torch.from_numpy(value) for row, value in zip(rows, values, strict=True)}
        self._offset = torch.from_numpy(louder_envelope(self.features, envelope=self.config.envelope)).float()
        network.trunk.scale.set_(*band_statistics(split))
        coded = np.concatenate(values)[:, 1:]
        network.normalise_(torch.from_numpy(coded.mean(0)), torch.from_numpy(coded.std(0)))
        self.generator, optimizer = self.fabric.setup(network, self._optimizer(network, train.learning_rate))
        return {"generator": network}, {"generator": optimizer}

    def vocoder(self) -> WorldVocoder:
        """The averaged network as a vocoder."""
        return WorldVocoder(cast(WorldNetwork, self.average), self.features)

    def _update(self) -> Mapping[str, Tensor]:
        train, split = self.config.train, self.store.splits["train"]
        drawing = self._draw.draw(step_seed(train.seed, self.step, CROPS))
        features = features_of(drawing, split, self.features, frames=train.frames, device=self.fabric.device)
        target = torch.stack(list(map(self._target, drawing.crops))).to(self.fabric.device)
        network = cast(WorldNetwork, self.networks["generator"])
        terms = world_losses(Prediction(*self.generator(features)), target, network.mean, network.deviation)
        total = torch.stack(list(terms.values())).sum()
        self._descend("generator", self.generator, total, train.learning_rate)
        return {**terms, "loss": total}

    def _target(self, crop: Crop) -> Tensor:
        """Targets [T, 1 + n + a] of a crop, the envelope at the level of its features."""
        values = self._targets[crop.row.name][crop.start : crop.start + self.config.train.frames].clone()
        values[:, 1 : 1 + self.config.envelope] += 2.0 * math.log(crop.gain) * self._offset  # an envelope is a power
        return values


def world_losses(predicted: Prediction, target: Tensor, mean: Tensor, std: Tensor) -> dict[str, Tensor]:
    """voicing: cross-entropy; f0: cross-entropy against a class and its neighbours, voiced frames; envelope and
    aperiodicity: mean |difference| in standard deviations, the latter in voiced frames. target: [B, T, 1 + n + a]."""
    f0, coded = target[..., 0], (target[..., 1:] - mean) / std
    coefficients = predicted.envelope.shape[-1]
    envelope, aperiodicity = coded[..., :coefficients], coded[..., coefficients:]
    voiced = (f0 > 0).float()
    voiced_fraction = voiced.mean().clamp_min(1e-3)
    centres = torch.arange(F0_CLASSES, device=f0.device) + 0.5
    label = torch.softmax(-0.5 * ((centres - f0_class(f0)[..., None]) / _BLUR) ** 2, dim=-1)
    return {
        "voicing": functional.binary_cross_entropy_with_logits(predicted.voicing, voiced),
        "f0": (-(label * predicted.f0.log_softmax(-1)).sum(-1) * voiced).mean() / voiced_fraction,
        "envelope": (predicted.envelope - envelope).abs().mean(),
        "aperiodicity": ((predicted.aperiodicity - aperiodicity).abs().mean(-1) * voiced).mean() / voiced_fraction,
    }
