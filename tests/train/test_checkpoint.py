"""Checkpoints: a full disk is one error that says so, and the old one stays."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from sqcodec.errors import TrainingError
from sqcodec.train.checkpoint import load_checkpoint, load_optimizer_, save_checkpoint


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows beyond 100 kB: writes then fail as on a full disk."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(("tensors", "length"), [(1, 1_000_000), (1, 25_000), (1000, 100)])
def test_a_full_disk_is_one_error(tmp_path: Path, tensors: int, length: int) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1, "identity": {}})
    with full_disk(), pytest.raises(TrainingError) as caught:
        save_checkpoint(path, {"step": 2, "w": [torch.zeros(length) for _ in range(tensors)]})
    assert str(caught.value) == f"{path}: cannot be written: File too large"
    assert load_checkpoint(path, torch.device("cpu")) == {"step": 1, "identity": {}}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    state = {"step": 1, "identity": {}, "sums": {"loss": torch.tensor(torch.nan)}, "optimizer": [{"m": torch.zeros(3)}]}
    save_checkpoint(path, state)
    assert load_checkpoint(path, torch.device("cpu"))["step"] == 1  # the log's sums may be anything
    state["optimizer"][0]["m"][1] = torch.inf
    save_checkpoint(path, state)
    with pytest.raises(TrainingError, match=r"state.optimizer.0.m holds numbers that are not finite"):
        load_checkpoint(path, torch.device("cpu"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "EOFError: no reason given"),
        (b"RIFF no checkpoint", "IndexError: pop from empty list"),
        (b"PK\x03\x04 half an archive", "RuntimeError: PytorchStreamReader failed"),
        ({"identity": {}}, "no training state in it"),
        ({"step": 3}, "no training state in it"),
        ({"step": "3", "identity": {}}, "no training state in it"),
        ({"step": -1, "identity": {}}, "no training state in it"),
        ({"step": 3, "identity": []}, "no training state in it"),
        ([3], "no training state in it"),
    ],
)
def test_what_is_no_checkpoint_is_one_error(tmp_path: Path, content, reason: str) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(TrainingError) as caught:
        load_checkpoint(path, torch.device("cpu"))
    text = str(caught.value)
    assert text.startswith(f"{path}: damaged, or not a checkpoint of sqcodec ({reason}")
    assert text.endswith("); start anew with another `folder`")
    assert "weights_only" not in text
    assert "\n" not in text


def test_moments_of_other_parameters_are_refused() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    state = optimizer.state_dict()
    load_optimizer_(optimizer, state)
    state["state"][0]["exp_avg"] = torch.zeros(4)
    with pytest.raises(ValueError, match="the optimiser's moments are those of other parameters"):
        load_optimizer_(optimizer, state)


def test_a_resume_has_the_betas_and_the_decay_of_its_own_recipe() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    former = torch.optim.AdamW([weight], lr=1e-3, betas=(0.9, 0.999), weight_decay=0.1)
    weight.grad = torch.ones(3)
    former.step()
    optimizer = torch.optim.AdamW([weight], lr=1e-4, betas=(0.8, 0.99), weight_decay=0.0)
    load_optimizer_(optimizer, former.state_dict())
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-4, (0.8, 0.99), 0.0)
    assert torch.equal(optimizer.state[weight]["exp_avg"], former.state[weight]["exp_avg"])
