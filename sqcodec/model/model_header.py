"""What a model file says of itself, and its entropy tables, read without torch and without any weight."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sqcodec import storage
from sqcodec.errors import ModelError
from sqcodec.spectrogram import FeatureConfig, feature_config

# 1: before recipes had a target; 2: before they chose network, level and loudness; 3: before the header had codewords,
# and a residual quantiser warmup_steps and freeze_step
FORMAT = 4
TABLES = "tables."  # what the names of the entropy tables begin with
KIND = storage.TensorFormat(
    key="sqcodec",
    newest=FORMAT,
    error=ModelError,
    missing="no such model file; 'sqcodec train RECIPE' makes one under runs/",
    newer="model format {found}, this sqcodec reads up to {newest}: install a newer sqcodec",
    expected="not a model of sqcodec ({reason}); expected a model.safetensors that 'sqcodec train' wrote",
)


@dataclass(frozen=True, kw_only=True)
class ModelHeader:
    """recipe: as it is in the file, in the form of the file's format; `load_model` validates it.

    codewords: V of each codebook, none for a plain VAE; tables: the digest of the entropy tables, if any; classes: of
    the mel values, for a decoder over classes.
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
    recipe: Mapping[str, Any]
    classes: Mapping[str, Any] | None

    @property
    def bit_rates(self) -> tuple[int, ...]:
        """Nominal bit/s with 1, 2, ... codebooks."""
        bits = [(words - 1).bit_length() for words in self.codewords]
        return tuple(round(self.features.code_rate * sum(bits[:books])) for books in range(1, len(bits) + 1))

    @property
    def default_bit_rate(self) -> float:
        """Nominal bit/s: what the recipe asks for, else with all codebooks; 0 for a plain VAE."""
        return float(self.recipe.get("bit_rate") or (self.bit_rates or (0,))[-1])

    @property
    def lookahead(self) -> float | None:
        """Milliseconds that encoder and decoder together see ahead; None where they see the whole recording."""
        network = self.recipe["network"]
        if "dim" not in network:  # the paper's network, which in files of format 1 and 2 has no kind
            return None
        codes = 1 + int(network["encoder_lookahead"]) + int(network["decoder_lookahead"])
        return 1000 * codes / self.features.code_rate


def read_header(path: Path) -> ModelHeader:
    """The header of a model file. Raises ModelError: missing, not a model of ours, or made by a later version."""
    return header_of(path, storage.read_header(path, KIND))


def header_of(path: Path, tree: Mapping[str, Any]) -> ModelHeader:
    """The header from the JSON in the file. Raises ModelError: something is missing from it."""
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
            features=feature_config(recipe["features"]),
            recipe=recipe,
            classes=tree.get("classes"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KIND.refusal(path, error) from None


def _codewords(tree: Mapping[str, Any]) -> tuple[int, ...]:
    if tree["format"] > 3:
        return tuple(map(int, tree["codewords"]))
    quantizer = tree["recipe"]["quantizer"]
    return (int(quantizer["codewords"]),) * int(quantizer.get("stages", 1)) if "codewords" in quantizer else ()


def read_tables(path: Path) -> dict[str, NDArray[Any]]:
    """The entropy tables' arrays; empty where the model has none. Raises ModelError: no safetensors file."""
    return storage.read_arrays(path, TABLES, KIND)
