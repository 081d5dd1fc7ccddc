"""Model files: safetensors with the recipe, the speakers and the fingerprint in the header. Nothing is unpickled."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from sqcodec.errors import ModelError, RecipeError
from sqcodec.model.classes import MelClasses
from sqcodec.model.codec import SpectrogramCodec
from sqcodec.recipe import Recipe, validate_recipe

FORMAT = 2  # 1: before recipes had a target
_TABLES = "tables."  # what the names of the entropy tables begin with


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
    tables: str | None  # the digest of its entropy tables

    @property
    def codewords(self) -> tuple[int, ...]:
        """V of each codebook; none for a plain VAE."""
        return (self.recipe.quantizer.codewords,) if self.recipe.quantizer.codewords else ()


def save_model(path: Path, codec: SpectrogramCodec, step: int) -> None:
    """Write the model atomically: a reader sees the old file or the new one."""
    header = {
        "format": FORMAT,
        "step": step,
        "fingerprint": codec.fingerprint,
        "speakers": codec.speakers,
        "recipe": codec.recipe.model_dump(mode="json"),
        "classes": codec.classes and asdict(codec.classes),
    }
    _write(path, {name: value.detach().cpu().contiguous() for name, value in codec.state_dict().items()}, header)


def add_tables(path: Path, target: Path, tables: Mapping[str, NDArray[Any]], digest: str) -> None:
    """Write the model `path` to `target` (which may be the same) with entropy tables beside its weights."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["sqcodec"])
    weights = {name: value for name, value in load_file(path).items() if not name.startswith(_TABLES)}
    arrays = {f"{_TABLES}{name}": torch.from_numpy(array.copy()) for name, array in tables.items()}
    _write(target, weights | arrays, header | {"tables": digest})


def read_tables(path: Path) -> dict[str, NDArray[Any]]:
    """The entropy tables' arrays; empty where the model has none. The header must have been read without an error."""
    with safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith(_TABLES)]  # noqa: SIM118 - it is no mapping
        return {name.removeprefix(_TABLES): file.get_tensor(name) for name in names}


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
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["sqcodec"])
        if header["format"] > FORMAT:
            raise ModelError(
                f"{path}: model format {header['format']}, this sqcodec reads up to {FORMAT}: install a newer sqcodec"
            )
        return ModelHeader(
            path=path,
            name=header["recipe"]["name"],
            step=header["step"],
            fingerprint=header["fingerprint"],
            speakers=tuple(header["speakers"]),
            recipe=validate_recipe(_recipe_tree(header), where=f"{path} (the recipe inside)"),
            classes=MelClasses(**header["classes"]) if header.get("classes") else None,
            tables=header.get("tables"),
        )
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file; 'sqcodec train RECIPE' makes one under runs/") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecipeError) as error:
        raise ModelError(
            f"{path}: not a model of sqcodec ({type(error).__name__}: {error}); expected a model.safetensors that"
            " 'sqcodec train' wrote"
        ) from None


def _recipe_tree(header: dict[str, Any]) -> dict[str, Any]:
    """The recipe inside, in today's form."""
    tree: dict[str, Any] = header["recipe"]
    return tree if header["format"] > 1 else {"target": {"kind": "mel"}, **tree}


def load_model(path: Path, device: torch.device | str = "cpu") -> SpectrogramCodec:
    """A codec ready for inference. Raises ModelError as `read_header`, or when the weights do not fit the recipe."""
    header = read_header(path)
    codec = SpectrogramCodec(header.recipe, header.speakers, header.classes)
    try:
        weights = {name: value for name, value in load_file(path).items() if not name.startswith(_TABLES)}
        codec.load_state_dict(weights)
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: the weights do not fit the recipe inside; the file is damaged: {error}") from None
    if codec.fingerprint != header.fingerprint:
        raise ModelError(
            f"{path}: the header names fingerprint {header.fingerprint}, the weights give {codec.fingerprint};"
            " the file is damaged: train or fetch it again"
        )
    return codec.to(device).eval()
