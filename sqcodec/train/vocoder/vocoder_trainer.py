"""What the trainings of all vocoders share: the loop, its log, its checkpoint, and tests by ear and by figures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from sqcodec.corpus.store import FeatureStore
from sqcodec.errors import TrainingError
from sqcodec.recipe import Recipe, TrainedVocoderConfig
from sqcodec.train.checkpoint import load_checkpoint, save_checkpoint
from sqcodec.train.interruption import stop_signals
from sqcodec.train.log import TrainingLog
from sqcodec.train.vocoder.validation import Listener
from sqcodec.vocoder.vocoder_file import save_vocoder

INITIAL, CROPS, WINDOW = range(3)  # the random streams
Report = Callable[[dict[str, Any]], None]


class VocoderTrainer(ABC):
    """One training of a recipe's vocoder; `folder` receives checkpoint, vocoder and log.

    store: natural features, or what a codec of fingerprint `codec` returned for them. Every random draw depends on the
    seed and the step alone, so 10 steps, a resume and 10 more are 20 steps.
    """

    def __init__(
        self,
        recipe: Recipe,
        config: TrainedVocoderConfig,
        store: FeatureStore,
        folder: Path,
        fabric: Fabric,
        codec: str | None,
    ) -> None:
        self.recipe, self.config, self.store, self.folder = recipe, config, store, folder
        self.fabric, self.codec, self.features = fabric, codec, recipe.features.configuration
        self.step, self.sums, self.summed = 0, dict[str, Tensor](), dict[str, int]()
        self.listener = Listener(
            store.splits[config.train.evaluate_split], self.features, files=config.train.evaluate_files
        )
        self.networks, self.optimizers = self._build()
        self.average: nn.Module = deepcopy(self.networks["generator"]).requires_grad_(False).eval()

    @abstractmethod
    def _build(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Networks (the one that becomes the vocoder is "generator") and optimisers, set up on the device."""

    @abstractmethod
    def _train_step(self) -> Mapping[str, Tensor]:
        """One step of the optimisers; returns its losses by name, "loss" (what the generator minimises) among them."""

    @abstractmethod
    def vocoder(self) -> Any:
        """The averaged network, ready for use."""

    @property
    def checkpoint(self) -> Path:
        """Where the training's whole state is kept."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Load the state saved last. Raises TrainingError: none, damaged, or of another vocoder, store or batch."""
        state = self._load(self.checkpoint, self._identity())
        self.step, self.summed, self.sums = state["step"], state["summed"], state["sums"]

    def begin_from(self, folder: Path) -> None:
        """Take networks and optimisers of the training in `folder`, to go on with other features from step 0.

        Raises TrainingError: there is none, or it is of another network.
        """
        self._load(folder / "checkpoint.pt", {"vocoder": self._identity()["vocoder"]})

    def save(self) -> None:
        """Write checkpoint and vocoder, each atomically. Raises TrainingError rather than save weights gone bad."""
        self._stop_if_bad()
        state = {
            "identity": self._identity(),
            "step": self.step,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "average": self.average.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "sums": self.sums,
            "summed": self.summed,
        }
        save_checkpoint(self.checkpoint, state)
        save_vocoder(
            self.folder / "vocoder.safetensors",
            self.average,
            config=self.config,
            features=self.features,
            step=self.step,
            codec=self.codec,
        )

    def run(self, log: TrainingLog, report: Report) -> None:
        """Train to train.steps. Raises TrainingError: the loss is not finite, or the training was asked to stop."""
        train = self.config.train
        for network in self.networks.values():
            network.train()
        with stop_signals() as stop:
            while self.step < train.steps:
                self.step += 1
                self._add(self._train_step())
                self._follow()
                last = self.step == train.steps
                entry = self._entry(last)
                if self.step % train.evaluate_every == 0 or last:
                    entry |= self._test(log)
                if len(entry) > 1:
                    log.write(entry)
                    report(entry)
                if self.step % train.save_every == 0 or last or stop.is_set():
                    self.save()
                if stop.is_set() and not last:
                    raise TrainingError(
                        f"stopped at step {self.step} of {train.steps}, all saved in {self.folder};"
                        " the same command with --resume goes on from here"
                    )

    def _optimizer(self, network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(network.parameters(), lr=learning_rate, betas=self.config.train.betas, fused=True)

    def _descend(self, name: str, network: Any, loss: Tensor, learning_rate: float) -> None:
        """One step of the optimiser `name`; the rate is set anew, so that a resume may change it."""
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(network, optimizer, max_norm=self.config.train.clip, error_if_nonfinite=False)
        optimizer.step()

    def _add(self, losses: Mapping[str, Tensor]) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=value.device)) + value.detach()
            self.summed[name] = self.summed.get(name, 0) + 1

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights, faster while it is young, so that the random start is forgotten."""
        decay = min(self.config.train.averaging, (1 + self.step) / (10 + self.step))
        weights = self.networks["generator"].state_dict()
        for name, value in self.average.state_dict().items():
            value.lerp_(weights[name], 1 - decay)

    def _entry(self, last: bool) -> dict[str, Any]:
        """What is logged after this step; {"step"} alone on most."""
        entry: dict[str, Any] = {"step": self.step}
        if self.step % self.config.train.log_every == 0 or last:
            self._stop_if_bad()
            entry |= {name: value.item() / self.summed[name] for name, value in self.sums.items()}
            self.sums, self.summed = {}, {}
        return entry

    def _test(self, log: TrainingLog) -> dict[str, float]:
        self._stop_if_bad()
        heard = self.listener.listen(self.vocoder())
        for name, sound in heard.sounds.items():
            log.hear(name, sound, self.step, self.features.sample_rate)
        return heard.figures

    def _stop_if_bad(self) -> None:
        bad = [name for name, value in self.sums.items() if not torch.isfinite(value)]
        if bad:
            kept = f"; the last good state is in {self.checkpoint}" if self.checkpoint.is_file() else ""
            raise TrainingError(
                f"not finite within {self.summed[bad[0]]} steps before step {self.step}: {', '.join(bad)}; most often"
                f" vocoder.train.learning_rate ({self.config.train.learning_rate:g}) is too high. Change it with"
                f" --set and train again{kept}"
            )

    def _load(self, path: Path, identity: dict[str, Any]) -> dict[str, Any]:
        state = load_checkpoint(path, self.fabric.device)
        unlike = [key for key in identity if state["identity"].get(key) != identity[key]]
        if unlike:
            raise TrainingError(
                f"{path}: cannot go on, {', '.join(unlike)} differ(s) from what the training began with;"
                " use the same recipe and features, or start another training with --out"
            )
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        return state

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to go on."""
        config = self.config.model_dump(mode="json")
        network = {key: value for key, value in config.items() if isinstance(value, int | str)}
        widths = {
            key: config["discriminators"][key] for key in ("periods", "resolutions") if "discriminators" in config
        }
        sizes = {key: {**value, "weight": None} for key, value in widths.items()}
        return {
            "features": self.recipe.features.model_dump(mode="json"),
            "vocoder": {**network, **sizes},
            "vocoder.train (batch, frames or seed)": {key: config["train"][key] for key in ("batch", "frames", "seed")},
            "the feature store": self.store.digest,
            "the codec": self.codec,
        }
