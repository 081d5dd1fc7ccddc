"""The training loop on a toy: resume bit for bit, stop at signals and bad losses, log and save when due."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sqcodec.errors import StoppedError, TrainingError
from sqcodec.pipeline.training.launch import make_fabric
from sqcodec.train.crops import step_seed
from sqcodec.train.log import TrainingLog, read_log
from sqcodec.train.trainer import Milestones, Trainer


class Toy(Trainer):
    """Follows random targets [3] with momentum. `at`: what happens in a step, by its number."""

    def __init__(self, folder: Path, *, steps: int = 12, seed: int = 0, at: Mapping[int, Any] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        milestones = Milestones(steps, log_every=2, evaluate_every=4, save_every=3)
        super().__init__(folder, make_fabric("cpu", "32-true"), milestones)
        self.seed, self.at, self.saves = seed, at or {}, list[int]()
        self.weight, self.momentum = torch.zeros(3), torch.zeros(3)

    def train_step(self) -> dict[str, Tensor]:
        happens = self.at.get(self.step, 1.0)
        if isinstance(happens, signal.Signals):
            os.kill(os.getpid(), happens)
            happens = 1.0
        target = torch.randn(3, generator=torch.Generator().manual_seed(step_seed(self.seed, self.step, 0)))
        error = target - self.weight
        self.momentum = 0.9 * self.momentum + 0.1 * error
        self.weight = self.weight + self.momentum
        return {"loss": error.square().mean() * happens, "step_number": torch.tensor(float(self.step))}

    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        return {**means}

    def evaluate(self, log: TrainingLog) -> dict[str, Any]:
        return {"norm": self.weight.norm().item()}

    def state(self) -> dict[str, Any]:
        return {"weight": self.weight, "momentum": self.momentum}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.weight, self.momentum = state["weight"], state["momentum"]

    def identity(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def save_weights(self) -> None:
        torch.save({"weight": self.weight, "step": self.step}, self.folder / "weights.pt")
        self.saves.append(self.step)

    def cause(self, step: int, losses: Mapping[str, float]) -> str:
        return f"the loss was {losses['loss']:g}"


def train(toy: Toy, report=lambda entry: None) -> list[dict[str, Any]]:
    """Run with a log; its entries, those of an earlier part included."""
    log = TrainingLog(toy.folder, keep_to=toy.step)
    try:
        toy.run(log, report)
    finally:
        log.close()
    return read_log(toy.folder / "log.jsonl")


def stored(folder: Path, name: str = "checkpoint.pt") -> dict[str, Any]:
    return torch.load(folder / name, weights_only=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_stopped_and_resumed_is_the_whole_one_bit_for_bit(tmp_path, number) -> None:
    whole = train(Toy(tmp_path / "whole"))
    with pytest.raises(StoppedError) as caught:  # between two logs: half of a mean is in the checkpoint
        train(Toy(tmp_path / "parts", at={5: number}))
    assert str(caught.value) == (
        f"stopped at step 5 of 12, all saved in {tmp_path / 'parts'}; the same command with `resume` goes on from here"
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (stored(tmp_path / "parts")["step"], stored(tmp_path / "parts", "weights.pt")["step"]) == (5, 5)
    toy = Toy(tmp_path / "parts")
    toy.resume()
    assert toy.step == 5
    assert train(toy) == whole
    states = [stored(tmp_path / name) for name in ("whole", "parts")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in ("weight", "momentum"))


def test_a_checkpoint_is_never_newer_than_the_weights(tmp_path, monkeypatch) -> None:
    """Else a training that was killed between the two could not end: at the last step a resume trains no more."""

    def full(toy: Toy) -> None:
        if toy.step == 12:
            raise TrainingError("no space left")
        write(toy)

    write = Toy.save_weights
    monkeypatch.setattr(Toy, "save_weights", full)
    with pytest.raises(TrainingError, match="no space left"):
        train(Toy(tmp_path))
    assert (stored(tmp_path)["step"], stored(tmp_path, "weights.pt")["step"]) == (9, 9)
    monkeypatch.undo()
    toy = Toy(tmp_path)
    toy.resume()
    train(toy)
    assert (stored(tmp_path)["step"], stored(tmp_path, "weights.pt")["step"]) == (12, 12)


def test_weights_gone_bad_under_a_good_loss_are_not_saved(tmp_path, monkeypatch) -> None:
    def spoilt(toy: Toy) -> dict[str, Tensor]:
        losses = step(toy)
        if toy.step == 6:
            toy.weight = toy.weight * torch.nan
        return losses

    step = Toy.train_step
    monkeypatch.setattr(Toy, "train_step", spoilt)
    with pytest.raises(TrainingError, match=r"^state.weight is not finite after step 6, .* last good state is in "):
        train(Toy(tmp_path))
    assert (stored(tmp_path)["step"], stored(tmp_path, "weights.pt")["step"]) == (3, 3)


def test_a_signal_in_the_last_step_is_no_stop(tmp_path) -> None:
    assert train(Toy(tmp_path / "run", at={12: signal.SIGTERM}))[-1]["step"] == 12


def test_what_is_logged_evaluated_and_saved_when(tmp_path) -> None:
    reported: list[dict[str, Any]] = []
    toy = Toy(tmp_path / "run", steps=9)
    entries = train(toy, reported.append)
    assert entries == reported
    assert [entry["step"] for entry in entries] == [2, 4, 6, 8, 9]
    assert [entry["step"] for entry in entries if "norm" in entry] == [4, 8, 9]
    assert [entry["step_number"] for entry in entries] == [1.5, 3.5, 5.5, 7.5, 9.0]  # means since the last log
    assert toy.saves == [3, 6, 9]


def test_without_a_log_nothing_is_evaluated_or_reported(tmp_path, monkeypatch) -> None:
    """As in all ranks but the first."""
    monkeypatch.setattr(Toy, "evaluate", None)
    toy, reported = Toy(tmp_path / "run"), list[dict[str, Any]]()
    toy.run(None, reported.append)
    assert (toy.step, reported) == (12, [])


@pytest.mark.parametrize(("factor", "shown"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_a_bad_loss_is_named_by_its_first_step_and_never_saved(tmp_path, factor, shown) -> None:
    bad = Toy(tmp_path / "run", at={7: factor, 8: float("nan")})
    with pytest.raises(TrainingError) as caught:
        train(bad)
    assert str(caught.value) == (
        f"the loss is not finite at step 7 (step_number 7): the loss was {shown}. Change it with `overrides` and"
        " train again;"
        f" the last good state is in {tmp_path / 'run' / 'checkpoint.pt'}"
    )
    assert bad.step == 8  # where the next log was due
    assert (stored(tmp_path / "run")["step"], stored(tmp_path / "run", "weights.pt")["step"]) == (6, 6)
    assert read_log(tmp_path / "run" / "log.jsonl")[-1]["step"] == 6


def test_a_bad_loss_before_any_save_names_no_checkpoint(tmp_path) -> None:
    toy = Toy(tmp_path / "run", at={1: float("nan")})
    toy.advance()
    with pytest.raises(TrainingError, match=r"at step 1 .* Change it with `overrides` and train again$"):
        toy.save()
    assert not toy.checkpoint.exists()


def test_a_crash_loses_the_steps_since_the_last_save_alone(tmp_path) -> None:
    whole = train(Toy(tmp_path / "whole"))

    def crash(entry: dict[str, Any]) -> None:
        if entry["step"] == 8:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        train(Toy(tmp_path / "run"), crash)
    toy = Toy(tmp_path / "run")
    toy.resume()
    assert toy.step == 6
    assert train(toy) == whole


def test_a_finished_training_resumes_longer(tmp_path) -> None:
    train(Toy(tmp_path / "run", steps=4))
    longer = Toy(tmp_path / "run", steps=12)
    longer.resume()
    train(longer)
    train(Toy(tmp_path / "whole"))
    assert torch.equal(stored(tmp_path / "run")["weight"], stored(tmp_path / "whole")["weight"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda state: state.pop("weight"), "ValueError: state.weight is missing, or has another shape"),
        (lambda state: state.update(momentum=torch.zeros(2)), "ValueError: state.momentum is missing, or has another"),
        (lambda state: state.update(weight=[1.0]), "ValueError: state.weight is missing, or has another shape"),
        (lambda state: state.pop("sums"), "KeyError: 'sums'"),
        (lambda state: state.update(summed=3), "TypeError: 'int' object is not iterable"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_error(tmp_path: Path, damage, reason: str) -> None:
    train(Toy(tmp_path, steps=3))
    state = stored(tmp_path)
    damage(state)
    torch.save(state, tmp_path / "checkpoint.pt")
    toy = Toy(tmp_path)
    with pytest.raises(TrainingError) as caught:
        toy.resume()
    assert str(caught.value).startswith(f"{tmp_path / 'checkpoint.pt'}: does not fit this training ({reason}")
    assert toy.step == 0


def test_a_checkpoint_of_another_training_is_refused(tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"checkpoint.pt: there is no checkpoint to resume from"):
        Toy(tmp_path / "run").resume()
    train(Toy(tmp_path / "run"))
    with pytest.raises(TrainingError) as caught:
        Toy(tmp_path / "run", seed=1).resume()
    assert str(caught.value) == (
        f"{tmp_path / 'run' / 'checkpoint.pt'}: cannot resume, seed differ(s) from what the training began with;"
        " use the same recipe and features, or start another training with `folder`"
    )


def test_a_step_reads_nothing_from_the_device(tmp_path, monkeypatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("a training step read a tensor")

    toy = Toy(tmp_path / "run")
    with monkeypatch.context() as patch:
        for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
            patch.setattr(torch.Tensor, name, refuse)
        toy.advance()
        toy.advance()
        with pytest.raises(AssertionError, match="read a tensor"):
            toy.stop_if_bad()
