"""Checkpoints: atomic, complete, and read without an unrestricted unpickler."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from sqcodec.errors import TrainingError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values so that a reader, or a crash, finds the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote. Raises TrainingError: missing or damaged."""
    if not path.is_file():
        raise TrainingError(f"{path}: there is no checkpoint to resume from; leave `resume` out to start a training")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or "step" not in state:
            raise TypeError("no training state in it")
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path}: damaged, or not a checkpoint of sqcodec ({str(error).splitlines()[0]});"
            " start anew with another `folder`"
        ) from None
    return state
