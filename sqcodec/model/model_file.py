"""Model files: safetensors with the recipe, the speakers and the fingerprint in the header. Nothing is unpickled."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sqcodec.errors import ModelError, RecipeError
from sqcodec.model.assembly import build_codec
from sqcodec.model.mel_classes import MelClasses
from sqcodec.model.model_header import FORMAT, TABLES, not_a_model, read_metadata
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.nn.uninitialised import Undrawn
from sqcodec.recipe import Recipe, validate_recipe
from sqcodec.recipe.quantizer_section import current_keys


@dataclass(frozen=True, kw_only=True)
class ModelHeader:
    """What a model file says of itself before any weight is read."""

    path: Path
    name: str
    step: int
    fingerprint: str
    speakers: tuple[str, ...]
    recipe: Recipe
    classes: MelClasses | None


def save_model(path: Path, codec: SpectrogramCodec, step: int, *, dtype: torch.dtype = torch.float32) -> None:
    """Write the model atomically: a reader sees the old file or the new one.

    dtype: of the weights in the file; what it cannot hold must have been rounded before, or the fingerprint is wrong.
    """
    header = {
        "format": FORMAT,
        "step": step,
        "fingerprint": codec.fingerprint,
        "speakers": codec.speakers,
        "recipe": codec.recipe.model_dump(mode="json"),
        "classes": codec.classes and asdict(codec.classes),
        "codewords": [codec.quantizer.codewords] * codec.quantizer.codebooks,
    }
    _write(path, stored_weights(codec, dtype), header)


def stored_weights(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights by name on the CPU, those that are no integers in dtype."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in weights.items()}


def add_tables(path: Path, target: Path, tables: Mapping[str, NDArray[Any]], digest: str) -> None:
    """Write the model `path` to `target` (which may be the same) with entropy tables beside its weights."""
    header = read_metadata(path)
    weights = {name: value for name, value in load_file(path).items() if not name.startswith(TABLES)}
    arrays = {f"{TABLES}{name}": torch.from_numpy(array.copy()) for name, array in tables.items()}
    _write(target, weights | arrays, header | {"tables": digest})


def _write(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(save(tensors, metadata={"sqcodec": json.dumps(header)}))  # save_file hides it from others
        draft.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def read_header(path: Path) -> ModelHeader:
    """The header of a model file. Raises ModelError: missing, not a model of ours, or made by a later version."""
    header = read_metadata(path)
    try:
        return ModelHeader(
            path=path,
            name=header["recipe"]["name"],
            step=header["step"],
            fingerprint=header["fingerprint"],
            speakers=tuple(header["speakers"]),
            recipe=validate_recipe(_recipe_tree(header), where=f"{path} (the recipe inside)"),
            classes=MelClasses(**header["classes"]) if header.get("classes") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecipeError) as error:
        raise not_a_model(path, error) from None


def _recipe_tree(header: dict[str, Any]) -> dict[str, Any]:
    """The recipe inside, in today's form; keys of format 3 that have other names since are read by validation."""
    tree: dict[str, Any] = header["recipe"]
    if header["format"] < 2:
        tree = {"target": {"kind": "mel"}, **tree}
    if header["format"] < 3:
        network, train, target = (
            {"kind": "paper", **tree["network"]},
            {"level": None, **tree["train"]},
            tree["target"],
        )
        target = {"loudness": 0.0, "variance": "batch", **target} if target["kind"] == "mel" else target
        quantizer = current_keys(tree["quantizer"])
        if quantizer["kind"] == "residual":
            quantizer = {"ratio": 0.25, "warmup_steps": 0, "freeze_step": None, **quantizer}
        tree = {**tree, "network": network, "train": train, "target": target, "quantizer": quantizer}
    return tree


def load_model(path: Path, device: torch.device | str = "cpu") -> SpectrogramCodec:
    """A codec ready for inference. Raises ModelError as `read_header`, or when the weights do not fit the recipe."""
    header = read_header(path)
    with Undrawn():
        codec = build_codec(header.recipe, header.speakers, header.classes)
    try:
        weights = {name: value for name, value in load_file(path).items() if not name.startswith(TABLES)}
        codec.load_state_dict(weights)
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: the weights do not fit the recipe inside; the file is damaged: {error}") from None
    if codec.fingerprint != header.fingerprint:
        raise ModelError(
            f"{path}: the header names fingerprint {header.fingerprint}, the weights give {codec.fingerprint};"
            " the file is damaged: train or fetch it again"
        )
    return codec.to(device).eval()
