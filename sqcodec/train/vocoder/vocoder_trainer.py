"""Base of all vocoder trainers: averaged network, checkpoint, validation by metrics and audio samples."""

from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from sqcodec.corpus.store import FeatureStore
from sqcodec.errors import TrainingError
from sqcodec.file_names import CHECKPOINT, VOCODER
from sqcodec.recipe import Recipe, TrainedVocoderConfig
from sqcodec.recipe.vocoder_section import FAMILIES
from sqcodec.train.checkpoint import load_optimizer_
from sqcodec.train.log import TrainingLog
from sqcodec.train.trainer import Milestones, Trainer
from sqcodec.train.vocoder.validation import Validator
from sqcodec.vocoder.vocoder_file import load_vocoder, save_vocoder

INITIAL, CROPS, WINDOW, STATISTICS = range(4)  # the random streams


class VocoderTrainer(Trainer):
    """One training of a recipe's vocoder; `folder` receives checkpoint, vocoder and log.

    store: features of recordings, or those decoded by the codec with fingerprint `codec`. section: of the recipe, that
    has the values of this training.
    """

    section = "vocoder"

    def __init__(
        self,
        recipe: Recipe,
        config: TrainedVocoderConfig,
        store: FeatureStore,
        folder: Path,
        fabric: Fabric,
        codec: str | None,
    ) -> None:
        train = config.train
        milestones = Milestones(train.steps, train.log_every, train.evaluate_every, train.save_every)
        super().__init__(folder, fabric, milestones)
        self.recipe, self.config, self.store = recipe, config, store
        self.codec, self.features = codec, recipe.features.configuration
        self.validator = Validator(store.splits[train.evaluate_split], self.features, files=train.evaluate_files)
        self.networks, self.optimizers = self._build()
        self.average: nn.Module = deepcopy(self.networks["generator"]).requires_grad_(False).eval()

    @abstractmethod
    def _build(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Networks (the one that becomes the vocoder is "generator") and optimisers, set up on the device."""

    @abstractmethod
    def _update(self) -> Mapping[str, Tensor]:
        """One step of the optimisers; returns its losses by name, "loss" (what the generator minimises) among them."""

    @abstractmethod
    def vocoder(self) -> Any:
        """The averaged network as a vocoder."""

    def begin_from(self, folder: Path) -> None:
        """Take networks and optimisers of the training in `folder`, to go on with other features from step 0.

        Where there is no checkpoint but a vocoder, as beside a model that ships, its weights alone are taken.
        Raises TrainingError: there is neither, or it is of another network; VocoderError: the vocoder is damaged.
        """
        checkpoint, weights = folder / CHECKPOINT, folder / VOCODER
        if not checkpoint.is_file() and not weights.is_file():
            raise TrainingError(
                f"{folder}: no vocoder to go on with; train one first (`stage` vocoder), or name a run that has one"
                " (`start`)"
            )
        if checkpoint.is_file() or not weights.is_file():
            self.take(self.read(checkpoint, {"vocoder": self.identity()["vocoder"]}), checkpoint)
            return
        generator = self.networks["generator"]
        state = load_vocoder(weights, self.features).network.state_dict()
        self._make_room(state)
        if {name: value.shape for name, value in state.items()} != {
            name: value.shape for name, value in generator.state_dict().items()
        }:
            raise TrainingError(
                f"{weights}: holds another network than the recipe's; use the recipe that it was trained with"
            )
        generator.load_state_dict(state)
        self.average.load_state_dict(state)

    def state(self) -> dict[str, Any]:
        """Networks, their average, and optimisers."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "average": self.average.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def _make_room(self, weights: Mapping[str, Tensor]) -> None:
        """Prepare both networks for weights of a vocoder that may have more than a new one."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""
        self._make_room(state["average"])
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            load_optimizer_(optimizer, state["optimizers"][name])

    def save_weights(self) -> None:
        """Write the vocoder."""
        save_vocoder(
            self.folder / VOCODER,
            self.average,
            config=self.config,
            features=self.features,
            step=self.step,
            codec=self.codec,
        )

    def train_step(self) -> Mapping[str, Tensor]:
        """One update of networks and average."""
        losses = self._update()
        self._follow()
        return losses

    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        """Losses."""
        return {**means}

    def evaluate(self, log: TrainingLog) -> dict[str, Any]:
        """Copy-synthesis of some held-out recordings."""
        validation = self.validator.validate(self.vocoder())
        for name, sound in validation.sounds.items():
            log.add_sound(name, sound, self.step, self.features.sample_rate)
        return {**validation.figures}

    def cause(self, _step: int, _losses: Mapping[str, float]) -> str:
        """Most often a learning rate that is too high."""
        return f"most often {self.section}.train.learning_rate ({self.config.train.learning_rate:g}) is too high"

    def _optimizer(self, network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(network.parameters(), lr=learning_rate, betas=self.config.train.betas, fused=True)

    def _descend(self, name: str, network: Any, loss: Tensor, learning_rate: float) -> None:
        """One step of the optimiser `name`; the rate is set anew, so that a resume may change it."""
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * self._warmth()
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(network, optimizer, max_norm=self.config.train.clip, error_if_nonfinite=False)
        optimizer.step()

    def _warmth(self) -> float:
        """Part of its learning rate that the step has: all of it before the cooldown, a little in the last step."""
        train = self.config.train
        cooling = train.cooldown * train.steps
        return min(1.0, (train.steps - self.step + 1) / cooling) if cooling else 1.0

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights, faster while it is young, so that the random start is forgotten."""
        decay = min(self.config.train.averaging, (1 + self.step) / (10 + self.step))
        weights = self.networks["generator"].state_dict()
        for name, value in self.average.state_dict().items():
            value.lerp_(weights[name], 1 - decay)

    def identity(self) -> dict[str, Any]:
        """Features, network, batches, store and codec."""
        config = self.config.model_dump(mode="json")
        network = {key: value for key, value in config.items() if isinstance(value, int | str)}
        widths = {key: config.get("discriminators", {}).get(key) for key in FAMILIES}
        sizes = {key: {**value, "weight": None} for key, value in widths.items() if value}
        return {
            "features": self.recipe.features.model_dump(mode="json"),
            "vocoder": {**network, **sizes},
            "vocoder.train (batch, frames or seed)": {key: config["train"][key] for key in ("batch", "frames", "seed")},
            "the feature store": self.store.digest,
            "the codec": self.codec,
        }
