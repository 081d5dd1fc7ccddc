"""Checkpoints: atomic, complete, and read without an unrestricted unpickler."""

from pathlib import Path
from typing import Any

import torch

from sqcodec.errors import TrainingError
from sqcodec.recipe.quantizer_section import current_keys
from sqcodec.storage import written
from sqcodec.tensor_files import load_plain


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
    require_checkpoint(path)
    try:
        state = load_plain(path, device)
        step = state.get("step") if isinstance(state, dict) else None
        if type(step) is not int or step < 0 or not isinstance(state.get("identity"), dict):
            raise ValueError("no training state in it")
        if name := not_finite({key: value for key, value in state.items() if key != "sums"}):  # of the log alone
            raise ValueError(f"{name} holds numbers that are not finite")
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path}: damaged, or not a checkpoint of sqcodec ({error}); start anew with another `folder`"
        ) from None
    identity = state["identity"]
    if "quantizer" in identity:
        identity["quantizer"] = current_keys(identity["quantizer"])  # as today's recipes name them
    return dict(state)


def require_checkpoint(path: Path) -> None:
    """Raises TrainingError: missing. For work that takes long and comes before `load_checkpoint`."""
    if not path.is_file():
        raise TrainingError(f"{path}: there is no checkpoint to resume from; leave `resume` out to start a training")


def unlike(expected: Any, got: Any, name: str = "state") -> str | None:
    """What of a training's state is missing in another one or has another shape: `state.counts`; None: nothing."""
    if isinstance(expected, torch.Tensor):
        return None if isinstance(got, torch.Tensor) and got.shape == expected.shape else name
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return name
        pairs = ((f"{name}.{key}", value, got.get(key)) for key, value in expected.items())
    elif isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return name
        pairs = ((f"{name}.{place}", value, got[place]) for place, value in enumerate(expected))
    else:
        return None
    return next((wrong for place, value, other in pairs if (wrong := unlike(value, other, place))), None)


def load_optimizer_(optimizer: Any, state: dict[str, Any]) -> None:
    """Load an optimiser's moments; rates, decays and betas stay those of the recipe, which a resume may change.

    Raises ValueError: the moments are those of other parameters.
    """
    own = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, values in zip(optimizer.param_groups, own, strict=True):
        group.update(values)
    for parameter, moments in optimizer.state.items():
        if any(value.dim() and value.shape != parameter.shape for value in moments.values()):
            raise ValueError("the optimiser's moments are those of other parameters")


def not_finite(tree: Any, name: str = "state") -> str | None:
    """The name of a tensor in a tree of plain containers that holds NaN or infinity; None: there is none."""
    if isinstance(tree, torch.Tensor):
        return name if tree.is_floating_point() and not tree.isfinite().all() else None
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    return next((bad for key, value in items if (bad := not_finite(value, f"{name}.{key}"))), None)
