"""A training that is finished is taken for another one only where both are the same."""

from collections.abc import Set
from pathlib import Path
from typing import Any

import torch

from sqcodec.errors import TrainingError
from sqcodec.file_names import CHECKPOINT
from sqcodec.pipeline.training.run_folder import Stage, begun_recipe
from sqcodec.recipe import CodecRecipe
from sqcodec.train.checkpoint import load_checkpoint

_SECTIONS: dict[Stage, tuple[str, ...]] = {
    "model": ("features", "quantizer", "target", "network", "train", "bit_rate"),
    "context": ("context",),
    "vocoder": ("features", "vocoder"),
    "vocoder-on-codec": ("features", "vocoder"),
    "joint": ("features", "vocoder", "joint"),
    "live": ("features", "vocoder", "joint"),
}
# Changes of the weights that are trained: not how many steps, how they are watched, and what later trainings change.
_APART = {"steps", "log_every", "save_every", "evaluate_every", "evaluate_split", "evaluate_files", "on_codec", "live"}


def refuse_other(
    stage: Stage,
    folder: Path,
    recipe: CodecRecipe,
    digest: str,
    *,
    is_finished: bool = True,
    remove: Path | None = None,
) -> None:
    """Raise TrainingError where the training of `stage` in `folder` is not the recipe's, or learned from another
    feature store than the one with this digest. What the folder does not tell any more is not compared.

    is_finished: or was only begun. remove: what to remove to train anew; None: `folder`.
    """
    is_so = "is finished" if is_finished else "was begun"
    advice = f"take that back, or remove {remove or folder} to train it anew"
    begun = begun_recipe(folder)
    if isinstance(begun, CodecRecipe):
        former, now = (_values(each, stage) for each in (begun, recipe))
        changed = [key for key in {**former, **now} if former.get(key) != now.get(key)]
        if changed:
            listed = "; ".join(f"{key} {former.get(key)}, not {now.get(key)}" for key in changed[:3])
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise TrainingError(f"{folder}: {is_so}, with {listed}{more}; {advice}")
    if (folder / CHECKPOINT).is_file():
        learned = load_checkpoint(folder / CHECKPOINT, torch.device("cpu"))["identity"].get("the feature store")
        if learned not in (digest, None):
            raise TrainingError(
                f"{folder}: {is_so}, and learned from other recordings or features, or from the same that were changed"
                f" at other times; {advice}"
            )


def _values(recipe: CodecRecipe, stage: Stage) -> dict[str, Any]:
    """What the weights of the stage depend on, by key."""
    tree = recipe.model_dump(mode="json")
    sections = [*_SECTIONS[stage]]
    if stage == "model" and recipe.train.rate is not None:
        sections.append("context")
    if stage in ("joint", "live") and recipe.joint and recipe.joint.heard:
        sections.append("contrast")
    apart = _APART - {"steps"} if stage == "context" else _APART  # the only one that does not go on from its last step
    return {key: value for section in sections for key, value in _flat(section, tree[section], apart).items()}


def _flat(key: str, value: Any, apart: Set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    parts = (_flat(f"{key}.{name}", each, apart) for name, each in value.items() if name not in apart)
    return {name: each for part in parts for name, each in part.items()}
