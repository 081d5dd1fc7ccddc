"""The training of the ISTFT vocoder: spectra first, discriminators later."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from sqcodec.recipe import IstftConfig
from sqcodec.train.crops import band_statistics, step_seed
from sqcodec.train.vocoder.discriminators import Families
from sqcodec.train.vocoder.losses import discriminator_loss, generator_loss, matching_loss, spectral_loss
from sqcodec.train.vocoder.sound_crops import SoundCrops
from sqcodec.train.vocoder.vocoder_trainer import CROPS, INITIAL, STATISTICS, WINDOW, VocoderTrainer
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder

COLLAPSED = 1e-2  # hinge loss, 2 at the start: the discriminators tell recorded from synthesised sound every time
_LEVEL, _QUIETEST = (
    0.05,
    1e-3,
)  # RMS of what normalised discriminators see; recordings below -60 dB are raised as if there
_STATISTICS_BATCHES = 40
_TINY = 1e-12  # norm of a gradient that is none


class Pair(NamedTuple):
    """The part of both sounds, [B, n], that the discriminators see."""

    recorded: Tensor
    synthesised: Tensor


class Made(NamedTuple):
    """Recorded and synthesised sound [B, N] of a batch, what else the generator minimises, and its terms by name."""

    recorded: Tensor
    synthesised: Tensor
    loss: Tensor
    terms: dict[str, Tensor]


class Part(NamedTuple):
    """A loss of the sound beside the spectral ones. balance: norm of its gradient at the sound over that of theirs;
    None: its weight alone decides."""

    loss: Tensor
    balance: float | None


class IstftTrainer(VocoderTrainer):
    """Generator against families of discriminators, with one optimiser for each side."""

    config: IstftConfig

    def _build(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        train, split = self.config.train, self.store.splits["train"]
        torch.manual_seed(step_seed(train.seed, 0, INITIAL))
        network = self._new_generator()
        families = Families(self.config.discriminators)
        self.crops = SoundCrops(split, self.features, train, self.fabric.device)
        if self.config.discriminators.log_spectra and self.config.discriminators.start is not None:
            families.normalise_(self._recorded_windows())
        networks: dict[str, nn.Module] = {"generator": network}
        self.generator, generating = self.fabric.setup(network, self._optimizer(network, train.learning_rate))
        optimizers = {"generator": generating}
        if self.config.discriminators.families:
            judging = self._optimizer(families, self.config.discriminators.learning_rate)
            self.families, optimizers["discriminators"] = self.fabric.setup(families, judging)
            networks["discriminators"] = families
        return networks, optimizers

    def _new_generator(self) -> nn.Module:
        """The network that becomes the vocoder, on the CPU."""
        network = IstftNetwork(self.config, self.features)
        network.trunk.scale.set_(*band_statistics(self.store.splits["train"]))
        return network

    def _istft(self, network: nn.Module) -> IstftNetwork:
        """The vocoder in a generator."""
        return cast(IstftNetwork, network)

    def _make_room(self, weights: Mapping[str, Tensor]) -> None:
        """A contrast stays: the first layer was made for it."""
        contrast = next((value for name, value in weights.items() if name.endswith("contrast")), None)
        for network in (self.networks["generator"], self.average):
            room = None if contrast is None else torch.zeros_like(contrast, device=self.fabric.device)
            self._istft(network).contrast = room

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Discriminators that never learned there are this training's own, which know the statistics of its sounds."""
        if "discriminators" in self.networks and not have_learned(state):
            own = self.networks["discriminators"].state_dict()
            state = {**state, "networks": {**state["networks"], "discriminators": own}}
        super().load_state(state)

    def vocoder(self) -> IstftVocoder:
        """The averaged network, ready for use."""
        return IstftVocoder(cast(IstftNetwork, self.average), self.features, self.config.refinement)

    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        """Losses, and the families of discriminators that have collapsed."""
        families = self.config.discriminators.families
        collapsed = [name for name in families if means.get(name, math.inf) < COLLAPSED]
        return means | ({"collapsed": collapsed} if collapsed else {})

    def _update(self) -> Mapping[str, Tensor]:
        train, losses, discriminators = self.config.train, self.config.losses, self.config.discriminators
        made = self._made(step_seed(train.seed, self.step, CROPS))
        sound = made.synthesised.detach().requires_grad_() if self._balances else made.synthesised
        spectral = spectral_loss(sound, made.recorded, losses.resolutions, self.features.sample_rate)
        parts, further = self._further(sound, made.recorded)
        terms = {"mel": spectral.mel, "stft": spectral.stft, **made.terms, **further}
        first, learning_rate = losses.mel * spectral.mel + losses.stft * spectral.stft, train.learning_rate
        if discriminators.start is not None and self.step > discriminators.start:
            learning_rate = discriminators.generator_learning_rate or learning_rate
            pair = self._window(made.recorded, sound, self.step)
            terms |= self._train_discriminators(pair)
            if self.step > discriminators.start + discriminators.warmup:
                adversarial, matching = self._adversarial_losses(pair)
                terms |= {"adversarial": adversarial, "matching": matching}
                loss = losses.adversarial * adversarial + losses.matching * matching
                parts.append(Part(loss, discriminators.balance))
        total = torch.stack([first, *(part.loss for part in parts), made.loss]).sum()
        if self._balances:
            descent = (made.synthesised * self._balanced(sound, first, parts)).sum() + made.loss
        else:
            descent = total
        self._descend("generator", self.generator, descent, learning_rate)
        return terms | {"loss": total}

    def _made(self, seed: int) -> Made:
        """A batch that the seed alone decides."""
        batch = self.crops.draw(seed)
        return Made(batch.sound, self.generator(batch.features), batch.sound.new_zeros(()), {})

    @property
    def _balances(self) -> bool:
        """Whether a part has a balance, so that gradients at the sound are scaled before they go on."""
        return self.config.discriminators.balance is not None

    def _further(self, _synthesised: Tensor, _recorded: Tensor) -> tuple[list[Part], dict[str, Tensor]]:
        """Further losses of both sounds [B, N], and their terms by name."""
        return [], {}

    def _balanced(self, sound: Tensor, spectral: Tensor, parts: Sequence[Part]) -> Tensor:
        """The gradient [B, N] at the leaf `sound`: that of the spectral losses, and that of each other scaled to its
        balance times their norm (Defossez et al., arXiv 2210.13438, section 3.4, without the average over steps)."""
        first = self._gradient(sound, spectral)
        gradients = [first]
        for part in parts:
            other = self._gradient(sound, part.loss)
            scale = 1.0 if part.balance is None else part.balance * first.norm() / other.norm().clamp_min(_TINY)
            gradients.append(scale * other)
        return torch.stack(gradients).sum(0)

    def _gradient(self, sound: Tensor, loss: Tensor) -> Tensor:
        sound.grad = None
        self.fabric.backward(loss)
        return cast(Tensor, sound.grad)

    def _recorded_windows(self) -> Tensor:
        """Windows [B, n] of recordings as the discriminators see them, for their statistics."""
        seed = self.config.train.seed
        batches = [self.crops.draw(step_seed(seed, step, STATISTICS)).sound for step in range(_STATISTICS_BATCHES)]
        return torch.cat([self._window(sound, sound, step).recorded for step, sound in enumerate(batches)])

    def _window(self, recorded: Tensor, synthesised: Tensor, step: int) -> Pair:
        """What the discriminators see in a step: away from the margins, at one level where they are normalised."""
        hop, discriminators = self.features.hop_length, self.config.discriminators
        length, (before, after) = hop * discriminators.frames, discriminators.margins
        random = np.random.default_rng(step_seed(self.config.train.seed, step, WINDOW))
        last = recorded.shape[1] - length - hop * after
        first = int(random.integers(hop * before, last + 1))
        pair = Pair(recorded[:, first : first + length], synthesised[:, first : first + length])
        if not discriminators.log_spectra:
            return pair
        level = pair.recorded.square().mean(1, keepdim=True).sqrt().clamp_min(_QUIETEST)
        return Pair(*(sound * (_LEVEL / level) for sound in pair))

    def _train_discriminators(self, pair: Pair) -> dict[str, Tensor]:
        """One step of the discriminators: the loss of each family, between 0 and about 2."""
        real, fake = self.families(pair.recorded), self.families(pair.synthesised.detach())
        losses = {name: discriminator_loss(real[name], fake[name]) for name in real}
        total = torch.stack(list(losses.values())).sum()
        self._descend("discriminators", self.families, total, self.config.discriminators.learning_rate)
        return losses

    def _adversarial_losses(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Adversarial and matching loss of the generator, each family's with its weight."""
        self.families.requires_grad_(False)
        with torch.no_grad():
            real = self.families(pair.recorded)
        fake = self.families(pair.synthesised)
        self.families.requires_grad_(True)
        weights = {name: family.weight for name, family in self.config.discriminators.families.items()}
        adversarial = [weights[name] * generator_loss(fake[name]) for name in real]
        matching = [weights[name] * matching_loss(real[name], fake[name]) for name in real]
        return torch.stack(adversarial).sum(), torch.stack(matching).sum()


def have_learned(state: Mapping[str, Any]) -> bool:
    """Whether the discriminators of a checkpoint have had a step: their optimiser has moments then."""
    return bool(state["optimizers"].get("discriminators", {}).get("state"))
