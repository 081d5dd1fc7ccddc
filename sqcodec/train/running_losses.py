"""The losses of the steps since the last log, summed on the device, and the first step whose loss was not finite."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor


class BadStep(NamedTuple):
    """A step whose loss is not finite, and its losses by name."""

    step: int
    losses: dict[str, float]


class RunningLosses:
    """Losses are scalars by name, "loss" (what is minimised) among them; others may join late. Adding reads nothing."""

    def __init__(self, device: torch.device) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._bad_step = torch.zeros((), dtype=torch.int64, device=device)
        self._bad_losses: dict[str, Tensor] = {}

    def add(self, losses: Mapping[str, Tensor], step: int) -> None:
        """Count the losses of one step."""
        first = (self._bad_step == 0) & ~torch.isfinite(losses["loss"])
        self._bad_step = torch.where(first, step, self._bad_step)
        for name, value in losses.items():
            self._bad_losses[name] = torch.where(first, value, self._bad_losses.get(name, value))
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Of the steps since the last call, by name."""
        means = {name: value.item() / self._counts[name] for name, value in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    def first_bad(self) -> BadStep | None:
        """The first step whose loss was not finite."""
        step = int(self._bad_step.item())
        losses = {name: value.item() for name, value in self._bad_losses.items()}
        return BadStep(step, losses) if step else None

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"sums": self._sums, "summed": self._counts}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""
        self._sums, self._counts = dict(state["sums"]), dict(state["summed"])
