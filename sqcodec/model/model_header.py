"""What a model file says of itself, and its entropy tables, read without torch and without any weight."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from sqcodec.errors import ModelError
from sqcodec.spectrogram import FeatureConfig, feature_config

FORMAT = 3  # 1: before recipes had a target; 2: before they chose network, level and loudness
TABLES = "tables."  # what the names of the entropy tables begin with


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """codewords: V of each codebook, none for a plain VAE; tables: the digest of the entropy tables, if any."""

    path: Path
    name: str
    step: int
    fingerprint: str
    features: FeatureConfig
    speakers: tuple[str, ...]
    codewords: tuple[int, ...]
    tables: str | None


def read_summary(path: Path) -> ModelSummary:
    """The summary of a model file. Raises ModelError: missing, not a model of ours, or made by a later version."""
    header = read_metadata(path)
    try:
        quantizer = header["recipe"]["quantizer"]
        books = int(quantizer.get("stages", 1)) if "codewords" in quantizer else 0
        return ModelSummary(
            path=path,
            name=str(header["recipe"]["name"]),
            step=int(header["step"]),
            fingerprint=str(header["fingerprint"]),
            features=feature_config(header["recipe"]["features"]),
            speakers=tuple(map(str, header["speakers"])),
            codewords=(int(quantizer.get("codewords", 0)),) * books,
            tables=header.get("tables"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_a_model(path, error) from None


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON in the file's header. Raises ModelError as `read_summary`."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["sqcodec"])
        if header["format"] > FORMAT:
            raise ModelError(
                f"{path}: model format {header['format']}, this sqcodec reads up to {FORMAT}: install a newer sqcodec"
            )
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file; 'sqcodec train RECIPE' makes one under runs/") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise not_a_model(path, error) from None
    assert isinstance(header, dict)
    return header


def not_a_model(path: Path, error: Exception) -> ModelError:
    """The error for a file that is no model of ours."""
    return ModelError(
        f"{path}: not a model of sqcodec ({type(error).__name__}: {error}); expected a model.safetensors that"
        " 'sqcodec train' wrote"
    )


def read_tables(path: Path) -> dict[str, NDArray[Any]]:
    """The entropy tables' arrays; empty where the model has none. Raises ModelError: no safetensors file."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith(TABLES)]  # noqa: SIM118 - it is no mapping
            return {name.removeprefix(TABLES): file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise not_a_model(path, error) from None
