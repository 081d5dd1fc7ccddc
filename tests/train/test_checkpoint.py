"""Checkpoints: a full disk is one error that says so, and the old one stays."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sqcodec.train.checkpoint import load_checkpoint, save_checkpoint

FULL = """
import resource, signal, sys
from pathlib import Path
import torch
from sqcodec.errors import TrainingError
from sqcodec.train.checkpoint import save_checkpoint

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writes then fail as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
tensors, length = map(int, sys.argv[2:])
try:
    save_checkpoint(Path(sys.argv[1]), {"step": 2, "w": [torch.zeros(length) for _ in range(tensors)]})
except TrainingError as error:
    print(error)
"""


@pytest.mark.parametrize(("tensors", "length"), [(1, 1_000_000), (1, 25_000), (1000, 100)])
def test_a_full_disk_is_one_error(tmp_path: Path, tensors: int, length: int) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    done = subprocess.run(
        [sys.executable, "-c", FULL, path, str(tensors), str(length)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path}: cannot be written: File too large\n"
    assert load_checkpoint(path, torch.device("cpu")) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
