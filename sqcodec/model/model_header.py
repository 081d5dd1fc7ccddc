"""The header and the entropy tables of a model file, read without torch and without the weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from sqcodec import tensor_files
from sqcodec.errors import ModelError
from sqcodec.spectrogram import FeatureConfig, feature_config

# Older formats lack keys. 1: the recipe has no target. 2: no kind of network, no level, no loudness. 3: no codewords in
# the header, and no warmup_steps and freeze_step of a residual quantiser.
FORMAT = 4
CONTEXT_FORMAT = 5  # of a model with a context model; a model without one is still written as 4
NO_SPEAKER = 0  # speaker index for a speaker-independent decoder, which ignores it
_MAX_CODEBOOKS = 256
TABLES = "tables."  # prefix of the names of the entropy tables
CONTEXT = "context."  # prefix of the names of the context model's arrays
KIND = tensor_files.TensorFormat(
    key="sqcodec",
    newest=CONTEXT_FORMAT,
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
    mel classes of a decoder over classes.
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


def read_header(path: Path) -> ModelHeader:
    """Read the header of a model file. Raises ModelError: missing, not a model of sqcodec, or of a newer format."""
    return header_of(path, tensor_files.read_header(path, KIND))


class ModelContents(NamedTuple):
    """What one state of a model file holds: header; weights and arrays of tables and of the context model by name."""

    header: ModelHeader
    weights: dict[str, NDArray[Any]]
    tables: dict[str, NDArray[Any]]
    context: dict[str, NDArray[Any]]


def read_model(path: Path) -> ModelContents:
    """Read a model file at once. Raises ModelError as `read_header`."""
    tree, arrays = tensor_files.read_file(path, KIND)
    tables, context = (
        {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        for prefix in (TABLES, CONTEXT)
    )
    weights = {name: array for name, array in arrays.items() if not name.startswith((TABLES, CONTEXT))}
    return ModelContents(header_of(path, tree), weights, tables, context)


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
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise KIND.refusal(path, error) from None


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
    """Read the arrays of the entropy tables; empty if the model has none. Raises ModelError: not a safetensors file."""
    return tensor_files.read_arrays(path, TABLES, KIND)


def read_context(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of the context model; empty if the model has none. Raises ModelError: not a safetensors file."""
    return tensor_files.read_arrays(path, CONTEXT, KIND)
