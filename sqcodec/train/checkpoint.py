"""Checkpoints: atomic, complete, and read without an unrestricted unpickler."""

import pickle
from pathlib import Path
from typing import Any

import torch

from sqcodec.errors import TrainingError
from sqcodec.recipe.quantizer_section import current_keys
from sqcodec.storage import written


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values so that a reader, or a crash, finds the old file or the new one.

    Raises TrainingError: the file cannot be written.
    """
    with written(path, error=TrainingError) as draft, draft.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's complaint about its archive hides that the disk is full
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` wrote. Raises TrainingError: missing or damaged."""
    if not path.is_file():
        raise TrainingError(f"{path}: there is no checkpoint to resume from; leave `resume` out to start a training")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or "step" not in state:
            raise TypeError("no training state in it")
        if name := _not_finite({key: value for key, value in state.items() if key != "sums"}):  # of the log alone
            raise ValueError(f"{name} holds numbers that are not finite")
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path}: damaged, or not a checkpoint of sqcodec ({str(error).splitlines()[0]});"
            " start anew with another `folder`"
        ) from None
    identity = state.get("identity", {})
    if "quantizer" in identity:
        identity["quantizer"] = current_keys(identity["quantizer"])  # as today's recipes name them
    return state


def _not_finite(tree: Any, name: str = "state") -> str | None:
    """The name of a tensor in a tree of plain containers that holds NaN or infinity; None: there is none."""
    if isinstance(tree, torch.Tensor):
        return name if tree.is_floating_point() and not tree.isfinite().all() else None
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    return next((bad for key, value in items if (bad := _not_finite(value, f"{name}.{key}"))), None)
