"""The training log on a full disk: one error, which names what could not be written."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from sqcodec.errors import TrainingError
from sqcodec.train.log import TrainingLog, read_log
from tests.train.test_checkpoint import full_disk


def test_a_full_disk_is_named_with_the_log(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, keep_to=0)
    log.write({"step": 1, "loss": 0.5})
    assert read_log(log.path) == [{"step": 1, "loss": 0.5}]
    log.path.unlink()
    log.path.symlink_to("/dev/full")
    with pytest.raises(TrainingError) as caught:
        log.write({"step": 2, "loss": 0.4})
    assert str(caught.value) == f"{tmp_path}/log.jsonl: cannot be written: No space left on device"
    log.close()


def test_a_full_disk_is_named_with_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda failure: None)  # its thread prints a traceback
    log = TrainingLog(tmp_path, keep_to=0)
    with full_disk(), pytest.raises(TrainingError) as caught:
        for step in range(3000):
            log.add_sound("noise", np.ones(1000, np.float32), step, 16000)
        log.close()
    assert str(caught.value) == f"{tmp_path}/tensorboard: cannot be written: File too large"


def test_a_sound_may_have_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, keep_to=0)
    log.add_sound(os.fsdecode(b"anna/caf\xe9"), np.ones(1000, np.float32), 1, 16000)
    log.close()
    board = next((tmp_path / "tensorboard").iterdir()).read_bytes()
    assert rb"anna/caf\xe9" in board
