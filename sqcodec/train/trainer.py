"""The training loop of codec, vocoder and prior: step, log, evaluate, save; it stops cleanly and resumes exactly."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, final

import torch
from lightning_fabric import Fabric
from torch import Tensor

from sqcodec import ranks
from sqcodec.errors import StoppedError, TrainingError
from sqcodec.file_names import CHECKPOINT
from sqcodec.train.checkpoint import load_checkpoint, not_finite, save_checkpoint, unlike
from sqcodec.train.interruption import stop_signals
from sqcodec.train.log import TrainingLog
from sqcodec.train.running_losses import RunningLosses

Report = Callable[[dict[str, Any]], None]
Progress = Callable[[int, int], None]  # the step and the last step: once before the first, then after each


class Milestones(NamedTuple):
    """The last step, and the steps between two logs, evaluations or saves; after the last step there is one of each."""

    steps: int
    log_every: int
    evaluate_every: int
    save_every: int


class Trainer(ABC):
    """One training; `folder` receives checkpoint and log. A subclass says what a step is and what is saved.

    Every random draw of a step depends on the seed and the step alone, so 10 steps, a resume and 10 more are 20 steps.
    Of several processes (ranks) the first one writes and evaluates.
    """

    remedy = "start another training with `folder`"  # for a checkpoint of another training

    def __init__(self, folder: Path, fabric: Fabric, milestones: Milestones) -> None:
        self.folder, self.fabric, self.milestones = folder, fabric, milestones
        self.step = 0
        self.losses = RunningLosses(fabric.device)

    @abstractmethod
    def train_step(self) -> Mapping[str, Tensor]:
        """Train in step number `self.step`; returns its losses by name, "loss" (what is minimised) among them."""

    @abstractmethod
    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        """What is logged after this step. means: of the losses since the last log, {} where no log is due."""

    @abstractmethod
    def evaluate(self, log: TrainingLog) -> dict[str, Any]:
        """What is logged of an evaluation, in the first rank alone; sounds go to `log` directly."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint holds besides step and losses: tensors and plain values."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""

    def upgraded(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state of a checkpoint as it is written today; a former release may have written it otherwise."""
        return state

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """By title, what must be the same for a checkpoint to go on; plain values."""

    @abstractmethod
    def save_weights(self) -> None:
        """Write the file that inference reads, atomically."""

    @abstractmethod
    def cause(self, step: int, losses: Mapping[str, float]) -> str:
        """Why the loss may not be finite. step: the first bad one; losses: its losses."""

    @property
    def checkpoint(self) -> Path:
        """Where the training's whole state is kept."""
        return self.folder / CHECKPOINT

    @property
    def is_last(self) -> bool:
        """Whether this step is the last one."""
        return self.step == self.milestones.steps

    @final
    def run(self, log: TrainingLog | None, report: Report, progress: Progress | None = None) -> None:
        """Train to the last step; log: of the first rank alone.

        Raises TrainingError: the loss is not finite; StoppedError: asked to stop by a signal, all is saved.
        """
        with stop_signals() as stop:
            if progress:
                progress(self.step, self.milestones.steps)
            while self.step < self.milestones.steps:
                self.advance()
                self._log(log, report)
                if progress:
                    progress(self.step, self.milestones.steps)
                stopping = self._is_stopping(stop)
                if self._is_due(self.milestones.save_every) or stopping:
                    self.save()
                if stopping and not self.is_last:
                    raise StoppedError(
                        f"stopped at step {self.step} of {self.milestones.steps}, all saved in {self.folder};"
                        " the same command with `resume` goes on from here"
                    )

    @final
    def advance(self) -> None:
        """One step, of all ranks together; nothing is read from the device."""
        self.step += 1
        with ranks.together():
            losses = self.train_step()
        self.losses.add({name: value.detach() for name, value in losses.items()}, self.step)

    @final
    def save(self) -> None:
        """Write weights and checkpoint, each atomically. Raises TrainingError rather than save parameters gone bad.

        The checkpoint is the last: where it has the last step, a resume trains no more and finds the weights there.
        """
        self.stop_if_bad()
        trained = self.state()
        if name := not_finite(trained):  # a gradient may be bad where its loss is not
            raise TrainingError(
                f"{name} is not finite after step {self.step}, though its loss was; lower the learning rate with"
                f" `overrides` and train again{self._kept}"
            )
        state = {"identity": self.identity(), "step": self.step, **self.losses.state(), **trained}
        if self.fabric.is_global_zero:
            self.save_weights()
            save_checkpoint(self.checkpoint, state)

    @final
    def resume(self) -> None:
        """Load the state saved last. Raises TrainingError: none, damaged, or of a training with another identity."""
        state = self.read(self.checkpoint, self.identity())
        with self._fitting(self.checkpoint):
            self.take(state, self.checkpoint)
            self.losses.load_state(state)
        self.step = state["step"]
        if self.step > self.milestones.steps:
            raise TrainingError(
                f"{self.checkpoint}: is at step {self.step}, beyond the {self.milestones.steps} that are asked for;"
                " ask for as many or more"
            )

    @final
    def restore_weights(self, *paths: Path) -> None:
        """Write the files `paths` that inference reads anew, if the training is finished and one of them was removed.

        One that goes on writes them itself.
        """
        if self.is_last and self.fabric.is_global_zero and not all(path.is_file() for path in paths):
            self.save_weights()

    @final
    def take(self, state: Mapping[str, Any], path: Path) -> None:
        """Take a state that `read` returned. Raises TrainingError, naming `path`: it has other parts than this one."""
        with self._fitting(path):
            if wrong := unlike(self.state(), state):
                raise ValueError(f"{wrong} is missing, or has another shape")
            self.load_state(state)

    @contextmanager
    def _fitting(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            reason = next(iter(str(error).splitlines()), "")
            raise TrainingError(
                f"{path}: does not fit this training ({type(error).__name__}: {reason}): damaged, or of another"
                f" version; {self.remedy}"
            ) from None

    @final
    def read(self, path: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
        """The state in a checkpoint. Raises TrainingError: none, damaged, or without this identity."""
        state = load_checkpoint(path, self.fabric.device)
        unlike = [title for title, value in identity.items() if state["identity"].get(title) != value]
        if unlike:
            raise TrainingError(
                f"{path}: cannot resume, {', '.join(unlike)} differ(s) from what the training began with;"
                f" use the same recipe and features, or {self.remedy}"
            )
        with self._fitting(path):
            return self.upgraded(state)

    @final
    def stop_if_bad(self) -> None:
        """Wait for the device. Raises TrainingError: the loss of a step was not finite."""
        bad = self.losses.first_bad()
        if bad:
            parts = ", ".join(f"{name} {value:g}" for name, value in bad.losses.items() if name != "loss")
            raise TrainingError(
                f"the loss is not finite at step {bad.step}{f' ({parts})' if parts else ''}:"
                f" {self.cause(bad.step, bad.losses)}. Change it with `overrides` and train again{self._kept}"
            )

    @property
    def _kept(self) -> str:
        return f"; the last good state is in {self.checkpoint}" if self.checkpoint.is_file() else ""

    def _log(self, log: TrainingLog | None, report: Report) -> None:
        means = {}
        if self._is_due(self.milestones.log_every):
            self.stop_if_bad()
            means = self.losses.means()
        entry = {"step": self.step, **self.log_entry(means)}
        if self._is_due(self.milestones.evaluate_every):
            self.stop_if_bad()
            entry |= self.evaluate(log) if log else {}
        if log and len(entry) > 1:
            log.write(entry)
            report(entry)

    def _is_due(self, every: int) -> bool:
        return self.step % every == 0 or self.is_last

    def _is_stopping(self, stop: Event) -> bool:
        """Whether any rank is asked to: all of them stop after the same step. Asking a GPU waits for it."""
        if self.fabric.world_size == 1:
            return stop.is_set()
        if self.fabric.device.type == "cuda" and self.step % self.milestones.log_every:
            return False
        with ranks.together():
            return bool(ranks.total(torch.tensor(float(stop.is_set()), device=self.fabric.device)).item())
