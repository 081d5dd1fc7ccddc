"""The header and the entropy tables of a model file, read without torch and without the weights.

A model may leave to a neighbour what both have: its header names the neighbour's folder, its file lacks those arrays.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from sqcodec import tensor_files
from sqcodec.errors import ModelError
from sqcodec.spectrogram import FeatureConfig, feature_config
from sqcodec.storage import file_digest, write_bytes

# Older formats lack keys. 1: the recipe has no target. 2: no kind of network, no level, no loudness. 3: no codewords in
# the header, and no warmup_steps and freeze_step of a residual quantiser.
FORMAT = 4
CONTEXT_FORMAT = 5  # of a model with a context model; a model without one is still written as 4
SHARING_FORMAT = 6  # of a model that leaves arrays to a neighbour
NO_SPEAKER = 0  # speaker index for a speaker-independent decoder, which ignores it
_MAX_CODEBOOKS = 256
TABLES = "tables."  # prefix of the names of the entropy tables
CONTEXT = "context."  # prefix of the names of the context model's arrays
KIND = tensor_files.TensorFormat(
    key="sqcodec",
    newest=SHARING_FORMAT,
    error=ModelError,
    missing="no such model file; 'sqcodec train RECIPE' makes one under runs/",
    newer="model format {found}, this sqcodec reads up to {newest}: install a newer sqcodec",
    expected="not a model of sqcodec ({reason}); expected a model.safetensors that 'sqcodec train' wrote",
)


@dataclass(frozen=True, kw_only=True)
class ModelHeader:
    """The header of a model file.

    recipe: as stored, in the file's format; `load_model` converts and validates it. codewords: V of each codebook,
    empty for a plain VAE; tables, context: digests of the entropy tables and of the context model, if any; classes: the
    mel classes of a decoder over classes; neighbour: the model file, of the same fingerprint, that has the arrays which
    this file lacks.
    """

    path: Path
    format: int
    name: str
    step: int
    fingerprint: str
    features: FeatureConfig
    speakers: tuple[str, ...]
    codewords: tuple[int, ...]
    tables: str | None
    context: str | None
    recipe: Mapping[str, Any]
    classes: Mapping[str, Any] | None
    neighbour: Path | None

    def bit_rate(self, codebooks: int) -> float:
        """Nominal bit/s with so many codebooks: codes per second times bits per code."""
        return self.features.code_rate * sum((count - 1).bit_length() for count in self.codewords[:codebooks])

    @property
    def bit_rates(self) -> tuple[int, ...]:
        """Nominal bit/s with 1, 2, ... codebooks."""
        return tuple(round(self.bit_rate(codebooks)) for codebooks in range(1, len(self.codewords) + 1))

    @property
    def default_bit_rate(self) -> float:
        """Nominal bit/s: the recipe's `bit_rate`, or else that of all codebooks; 0 for a plain VAE."""
        return float(self.recipe.get("bit_rate") or (self.bit_rates or (0,))[-1])

    @property
    def lookahead(self) -> float | None:
        """Lookahead of encoder and decoder together, in ms; None if they need the whole recording."""
        network = self.recipe["network"]
        if "dim" not in network:  # the paper's network: in formats 1 and 2 it has no `kind`
            return None
        codes = 1 + int(network["encoder_lookahead"]) + int(network["decoder_lookahead"])
        return 1000 * codes / self.features.code_rate


def no_codes(model: Path | str) -> ModelError:
    """The error of a plain VAE where codes are needed."""
    return ModelError(f"{model}: a plain VAE (quantizer.kind none) has no codes; use a model with a quantizer")


def read_header(path: Path) -> ModelHeader:
    """Read the header of a model file. Raises ModelError: missing, not a model of sqcodec, or of a newer format."""
    return header_of(path, tensor_files.read_header(path, KIND))


def model_files(path: Path) -> tuple[Path, ...]:
    """The model file, and the neighbour whose arrays it shares. Raises ModelError as `read_header`."""
    neighbour = read_header(path).neighbour
    return (path, neighbour) if neighbour else (path,)


def model_digest(path: Path) -> str:
    """Of the content of `model_files`. Raises ModelError as `read_header`."""
    return " ".join(map(file_digest, model_files(path)))


class ModelContents(NamedTuple):
    """What one state of a model file holds: header; weights and arrays of tables and of the context model by name."""

    header: ModelHeader
    weights: dict[str, NDArray[Any]]
    tables: dict[str, NDArray[Any]]
    context: dict[str, NDArray[Any]]


def read_model(path: Path) -> ModelContents:
    """Read a model file at once. Raises ModelError as `read_header`, or if its neighbour is missing or another."""
    tree, arrays = read_whole(path)
    tables, context = (
        {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        for prefix in (TABLES, CONTEXT)
    )
    weights = {name: array for name, array in arrays.items() if not name.startswith((TABLES, CONTEXT))}
    return ModelContents(header_of(path, tree), weights, tables, context)


def read_whole(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The JSON of the header and every array, those of the neighbour too: what a file without one holds."""
    tree, arrays = tensor_files.read_file(path, KIND)
    header = header_of(path, tree)
    if not header.neighbour:
        return tree, arrays
    _check_neighbour(header, header.neighbour)
    shared = tensor_files.read_file(header.neighbour, KIND)[1]
    context = CONTEXT_FORMAT if header.context else FORMAT
    return {key: value for key, value in tree.items() if key != "shares"} | {"format": context}, shared | arrays


def write_whole(path: Path, target: Path) -> None:
    """Write the model file `path` to `target`, where it needs no neighbour. Raises ModelError as `read_model`, or if
    `target` cannot be written."""
    if read_header(path).neighbour:
        tree, arrays = read_whole(path)
        tensor_files.save_arrays(target, arrays, tree, KIND)
    elif not (target.exists() and target.samefile(path)):
        write_bytes(target, path.read_bytes(), error=ModelError)


def _check_neighbour(header: ModelHeader, neighbour: Path) -> None:
    """Raises ModelError: the neighbour is missing, no model, or one of other codes."""
    if not neighbour.is_file():
        raise ModelError(
            f"{header.path}: shares arrays with {neighbour}, which is missing; copy both folders, or write one that is"
            " whole with save_pretrained"
        )
    if (found := read_header(neighbour).fingerprint) != header.fingerprint:
        raise ModelError(
            f"{header.path}: shares arrays with {neighbour}, whose fingerprint is {found}, expected"
            f" {header.fingerprint}; fetch both models again"
        )


def header_of(path: Path, tree: Mapping[str, Any]) -> ModelHeader:
    """The header from its JSON. Raises ModelError: a key is missing or has a wrong value."""
    try:
        recipe = tree["recipe"]
        return ModelHeader(
            path=path,
            format=int(tree["format"]),
            name=str(recipe["name"]),
            step=int(tree["step"]),
            fingerprint=str(tree["fingerprint"]),
            speakers=tuple(map(str, tree["speakers"])),
            codewords=_codewords(tree),
            tables=tree.get("tables"),
            context=tree.get("context"),
            features=feature_config(recipe["features"]),
            recipe=recipe,
            classes=tree.get("classes"),
            neighbour=_neighbour(path, tree.get("shares")),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise KIND.refusal(path, error) from None


def _neighbour(path: Path, folder: str | None) -> Path | None:
    """Raises ValueError: no plain name of a folder. TypeError: no text."""
    if folder is None:
        return None
    if not re.fullmatch(r"\w[\w.-]*", folder):
        raise ValueError(f"shares arrays with {folder!r}, expected the name of a folder beside its own")
    return path.resolve().parent.parent / folder / path.name


def _codewords(tree: Mapping[str, Any]) -> tuple[int, ...]:
    """Codewords of each codebook; up to format 3 they follow from the recipe."""
    if tree["format"] > 3:
        return _sized(tree["codewords"])
    quantizer = tree["recipe"]["quantizer"]
    return _sized([quantizer["codewords"]] * int(quantizer.get("stages", 1))) if "codewords" in quantizer else ()


def _sized(codewords: Sequence[Any]) -> tuple[int, ...]:
    """Raises ValueError: not sizes of codebooks, whose codes are 16 bits."""
    sizes = tuple(map(int, codewords))
    if any(not 1 <= size <= 1 << 16 for size in sizes) or len(sizes) > _MAX_CODEBOOKS:
        raise ValueError(f"codebooks of {sizes[:4]} codewords, expected at most {_MAX_CODEBOOKS} of 1 to {1 << 16}")
    return sizes


def read_tables(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of the entropy tables; empty if the model has none. Raises ModelError as `read_model`."""
    return _arrays(path, TABLES)


def read_context(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of the context model; empty if the model has none. Raises ModelError as `read_model`."""
    return _arrays(path, CONTEXT)


def _arrays(path: Path, prefix: str) -> dict[str, NDArray[Any]]:
    arrays, header = tensor_files.read_arrays(path, prefix, KIND), read_header(path)
    if arrays or not header.neighbour:
        return arrays
    _check_neighbour(header, header.neighbour)
    return tensor_files.read_arrays(header.neighbour, prefix, KIND)
