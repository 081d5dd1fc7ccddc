"""The training of the ISTFT vocoder: spectra first, discriminators later."""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from sqcodec.recipe import IstftConfig
from sqcodec.train.crops import band_statistics, step_seed
from sqcodec.train.vocoder.discriminators import Families
from sqcodec.train.vocoder.losses import discriminator_loss, generator_loss, matching_loss, spectral_loss
from sqcodec.train.vocoder.sound_crops import SoundCrops
from sqcodec.train.vocoder.vocoder_trainer import CROPS, INITIAL, WINDOW, VocoderTrainer
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder

COLLAPSED = 1e-2  # hinge loss, 2 at the start: the discriminators tell recorded from synthesised sound every time


class IstftTrainer(VocoderTrainer):
    """Generator against two families of discriminators (periods, resolutions), with one optimiser for each side."""

    config: IstftConfig

    def _build(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        train, split = self.config.train, self.store.splits["train"]
        torch.manual_seed(step_seed(train.seed, 0, INITIAL))
        network = IstftNetwork(self.config, self.features)
        network.trunk.scale.set_(*band_statistics(split))
        families = Families(self.config.discriminators)
        self.crops = SoundCrops(split, self.features, train, self.fabric.device)
        generating = self._optimizer(network, train.learning_rate)
        judging = self._optimizer(families, self.config.discriminators.learning_rate)
        self.generator, generating = self.fabric.setup(network, generating)
        self.families, judging = self.fabric.setup(families, judging)
        return {"generator": network, "discriminators": families}, {"generator": generating, "discriminators": judging}

    def vocoder(self) -> IstftVocoder:
        """The averaged network, ready for use."""
        return IstftVocoder(cast(IstftNetwork, self.average), self.features, self.config.refinement)

    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        """Losses, and the families of discriminators that have collapsed."""
        collapsed = [name for name in ("periods", "resolutions") if means.get(name, math.inf) < COLLAPSED]
        return means | ({"collapsed": collapsed} if collapsed else {})

    def _update(self) -> Mapping[str, Tensor]:
        train, losses = self.config.train, self.config.losses
        batch = self.crops.draw(step_seed(train.seed, self.step, CROPS))
        synthesised = self.generator(batch.features)
        spectral = spectral_loss(synthesised, batch.sound, losses.resolutions, self.features.sample_rate)
        terms = {"mel": spectral.mel, "stft": spectral.stft}
        total = losses.mel * spectral.mel + losses.stft * spectral.stft
        start = self.config.discriminators.start
        if start is not None and self.step > start:
            recorded, synthesised = self._window(batch.sound, synthesised)
            terms |= self._train_discriminators(recorded, synthesised.detach())
            adversarial, matching = self._adversarial_losses(recorded, synthesised)
            terms |= {"adversarial": adversarial, "matching": matching}
            total = total + losses.adversarial * adversarial + losses.matching * matching
        self._descend("generator", self.generator, total, train.learning_rate)
        return terms | {"loss": total}

    def _window(self, recorded: Tensor, synthesised: Tensor) -> tuple[Tensor, Tensor]:
        """The part of both, [B, n], that the discriminators see in this step."""
        length = self.features.hop_length * self.config.discriminators.frames
        random = np.random.default_rng(step_seed(self.config.train.seed, self.step, WINDOW))
        first = int(random.integers(recorded.shape[1] - length + 1))
        return recorded[:, first : first + length], synthesised[:, first : first + length]

    def _train_discriminators(self, recorded: Tensor, synthesised: Tensor) -> dict[str, Tensor]:
        """One step of the discriminators: the loss of each family, between 0 and about 2."""
        real, fake = self.families(recorded), self.families(synthesised)
        losses = {name: discriminator_loss(real[name], fake[name]) for name in real}
        total = torch.stack(list(losses.values())).sum()
        self._descend("discriminators", self.families, total, self.config.discriminators.learning_rate)
        return losses

    def _adversarial_losses(self, recorded: Tensor, synthesised: Tensor) -> tuple[Tensor, Tensor]:
        """Adversarial and matching loss of the generator, each family's with its weight."""
        self.families.requires_grad_(False)
        with torch.no_grad():
            real = self.families(recorded)
        fake = self.families(synthesised)
        self.families.requires_grad_(True)
        families = self.config.discriminators
        weights = {"periods": families.periods.weight, "resolutions": families.resolutions.weight}
        adversarial = [weights[name] * generator_loss(fake[name]) for name in real]
        matching = [weights[name] * matching_loss(real[name], fake[name]) for name in real]
        return torch.stack(adversarial).sum(), torch.stack(matching).sum()
