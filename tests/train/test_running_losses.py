"""Sums of losses: means over the steps that had each, and the first bad step."""

import math

import torch

from sqcodec.train.running_losses import RunningLosses

CPU = torch.device("cpu")


def add(losses: RunningLosses, step: int, **values: float) -> None:
    losses.add({name: torch.tensor(value) for name, value in values.items()}, step)


def test_a_loss_that_joins_late_is_averaged_over_its_own_steps() -> None:
    losses = RunningLosses(CPU)
    add(losses, 1, loss=1.0)
    add(losses, 2, loss=3.0, late=8.0)
    assert losses.means() == {"loss": 2.0, "late": 8.0}
    add(losses, 3, loss=5.0)
    assert losses.means() == {"loss": 5.0}


def test_the_first_bad_step_is_kept_with_its_losses() -> None:
    losses = RunningLosses(CPU)
    add(losses, 1, loss=1.0, part=math.nan)  # a part may be undefined, the loss may not
    assert losses.first_bad() is None
    add(losses, 2, loss=math.inf, part=2.0)
    add(losses, 3, loss=math.nan, part=3.0)
    losses.means()
    bad = losses.first_bad()
    assert bad == (2, {"loss": math.inf, "part": 2.0})


def test_a_state_loaded_goes_on() -> None:
    first, second = RunningLosses(CPU), RunningLosses(CPU)
    add(first, 1, loss=1.0)
    second.load_state(first.state())
    add(second, 2, loss=4.0)
    assert second.means() == {"loss": 2.5}
    assert first.means() == {"loss": 1.0}
