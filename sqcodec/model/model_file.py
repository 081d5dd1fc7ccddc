"""Model files: safetensors, with recipe, speakers and fingerprint in the header. Nothing is unpickled."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sqcodec.errors import ModelError, RecipeError
from sqcodec.model.assembly import build_codec
from sqcodec.model.mel_classes import MelClasses
from sqcodec.model.model_header import (
    CONTEXT,
    CONTEXT_FORMAT,
    FORMAT,
    KIND,
    TABLES,
    ModelContents,
    ModelHeader,
    header_of,
    read_model,
    read_whole,
)
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.nn.uninitialised import NoInitialisation
from sqcodec.recipe import validate_recipe
from sqcodec.recipe.quantizer_section import current_keys
from sqcodec.tensor_files import save_tensors


class OpenedModel(NamedTuple):
    """The contents of a model file: the codec in eval mode, the header, the arrays of the entropy tables by name."""

    codec: SpectrogramCodec
    header: ModelHeader
    tables: dict[str, NDArray[Any]]


def save_model(path: Path, codec: SpectrogramCodec, step: int, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a model file atomically: a reader sees the old file or the new one.

    dtype: of the floating-point weights in the file. Round the codec's weights to it first: the fingerprint needs it.
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
    save_tensors(path, stored_weights(codec, dtype), header, KIND)


def stored_weights(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights by name, on the CPU; floating-point weights are converted to dtype, integers kept."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in weights.items()}


def add_tables(path: Path, target: Path, tables: Mapping[str, NDArray[Any]], digest: str) -> None:
    """Write the model `path` to `target` (may be the same file), with these entropy tables; digest: of the tables."""
    tree, tensors = _whole(path)
    weights = {name: value for name, value in tensors.items() if not name.startswith(TABLES)}
    arrays = {f"{TABLES}{name}": torch.from_numpy(array.copy()) for name, array in tables.items()}
    save_tensors(target, weights | arrays, tree | {"tables": digest}, KIND)


def add_context(path: Path, target: Path, context: Mapping[str, NDArray[Any]], digest: str) -> None:
    """Write the model `path` to `target` (may be the same file), with this context model; digest: of its arrays."""
    tree, tensors = _whole(path)
    weights = {name: value for name, value in tensors.items() if not name.startswith(CONTEXT)}
    arrays = {f"{CONTEXT}{name}": torch.from_numpy(array.copy()) for name, array in context.items()}
    header = header_of(path, tree)
    current = {"recipe": _recipe_tree(header), "codewords": header.codewords, "format": CONTEXT_FORMAT}
    save_tensors(target, weights | arrays, tree | current | {"context": digest}, KIND)


def replace_decoder(path: Path, target: Path, decoder: nn.Module, *, lookahead: int) -> None:
    """Write the model `path` to `target` with another ConvNeXt decoder of `lookahead` codes; all else stays, so its
    codes do. Weights are of the precision that they have in `path`."""
    tree, tensors = _whole(path)
    weights = {f"decoder.{name}": value for name, value in decoder.state_dict().items()}
    new = {name: value.to(tensors[name].dtype) for name, value in weights.items()}
    recipe = _recipe_tree(header_of(path, tree))
    network = {**recipe["network"], "decoder_lookahead": lookahead}
    save_tensors(target, tensors | new, tree | {"recipe": {**recipe, "network": network}}, KIND)


def _whole(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    tree, arrays = read_whole(path)
    return tree, {name: torch.from_numpy(array) for name, array in arrays.items()}


def _recipe_tree(header: ModelHeader) -> Mapping[str, Any]:
    """The header's recipe, converted to the current format: older files lack some keys."""
    tree = header.recipe
    if header.format < 2:
        tree = {"target": {"kind": "mel"}, **tree}
    if header.format < 3:
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
    """Load a codec in eval mode. Raises ModelError as `open_model`."""
    return open_model(path, device).codec


def open_model(path: Path, device: torch.device | str = "cpu") -> OpenedModel:
    """Read a model file. Raises ModelError as `read_header`, or if recipe or fingerprint does not fit the weights."""
    contents = read_model(path)
    return OpenedModel(codec_of(contents).to(device), contents.header, contents.tables)


def codec_of(contents: ModelContents) -> SpectrogramCodec:
    """The codec of a model file in eval mode, on the CPU. Raises ModelError as `open_model`."""
    header, path = contents.header, contents.header.path
    with NoInitialisation():
        codec = _codec(header)
    try:
        codec.load_state_dict({name: torch.from_numpy(array) for name, array in contents.weights.items()})
    except RuntimeError as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[:3])
        raise ModelError(f"{path}: the weights do not fit the recipe inside; the file is damaged: {reason}") from None
    if codec.fingerprint != header.fingerprint:
        raise ModelError(
            f"{path}: the header names fingerprint {header.fingerprint}, the weights give {codec.fingerprint};"
            " the file is damaged: train or fetch it again"
        )
    return codec.eval()


def _codec(header: ModelHeader) -> SpectrogramCodec:
    """Build the codec that a header describes, without its weights."""
    try:
        recipe = validate_recipe(_recipe_tree(header), where=f"{header.path} (the recipe inside)").codec
        classes = MelClasses(**header.classes) if header.classes else None
        return build_codec(recipe, header.speakers, classes)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecipeError) as error:
        raise KIND.refusal(header.path, error) from None
    except (RuntimeError, MemoryError) as error:  # sizes for which there is no memory
        raise KIND.refusal(header.path, error) from None
