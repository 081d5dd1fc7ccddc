"""Vocoder files: safetensors with the recipe's section, the feature configuration and the step in the header."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from sqcodec.errors import VocoderError
from sqcodec.nn.uninitialised import Undrawn
from sqcodec.recipe import IstftConfig, TrainedVocoderConfig, VocoderConfig, WorldConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder
from sqcodec.vocoder.world import WorldNetwork, WorldVocoder

FORMAT = 1
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class VocoderHeader:
    """What a vocoder file says of itself before any weight is read; codec: the fingerprint of the codec whose output it
    was fine-tuned on, None for natural features."""

    path: Path
    config: TrainedVocoderConfig
    features: FeatureConfig
    step: int
    codec: str | None


def save_vocoder(
    path: Path,
    network: nn.Module,
    *,
    config: TrainedVocoderConfig,
    features: FeatureConfig,
    step: int,
    codec: str | None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write the vocoder atomically: a reader sees the old file or the new one. dtype: of the weights in the file."""
    header = {
        "format": FORMAT,
        "vocoder": config.model_dump(mode="json"),
        "features": features.as_dict(),
        "step": step,
        "codec": codec,
    }
    weights = {name: value.detach().cpu().to(dtype).contiguous() for name, value in network.state_dict().items()}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(save(weights, metadata={"sqcodec-vocoder": json.dumps(header)}))
    draft.replace(path)


def read_header(path: Path) -> VocoderHeader:
    """The header of a vocoder file. Raises VocoderError: missing, not a vocoder of ours, or made by a later version."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["sqcodec-vocoder"])
        if header["format"] > FORMAT:
            raise VocoderError(
                f"{path}: got vocoder format {header['format']}, this version of sqcodec reads up to {FORMAT};"
                " update sqcodec"
            )
        config = TypeAdapter[VocoderConfig](VocoderConfig).validate_python(header["vocoder"])
        if not isinstance(config, IstftConfig | WorldConfig):
            raise TypeError(f"{config.kind} has no weights")
        return VocoderHeader(
            path=path,
            config=config,
            features=FeatureConfig(**header["features"]),
            step=int(header["step"]),
            codec=header["codec"],
        )
    except FileNotFoundError:
        raise VocoderError(
            f"{path}: no such vocoder file; 'sqcodec train RECIPE --stage vocoder' makes one under runs/"
        ) from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise VocoderError(
            f"{path}: not a vocoder of sqcodec ({type(error).__name__}: {str(error).splitlines()[0]}); expected a"
            " vocoder.safetensors that 'sqcodec train RECIPE --stage vocoder' wrote"
        ) from None


def load_vocoder(
    path: Path, features: FeatureConfig, device: torch.device | str = "cpu"
) -> IstftVocoder | WorldVocoder:
    """A vocoder ready for use on `features`.

    Raises VocoderError as `read_header`, when it was made for other features, or when the weights do not fit it.
    """
    header = read_header(path)
    if header.features != features:
        raise VocoderError(
            f"{path}: made for {header.features.kind} features ({_difference(header.features, features)}), got"
            f" {features.kind}; choose a vocoder for {features.kind}, or griffin-lim, which takes every kind"
        )
    match header.config:
        case IstftConfig() as istft:
            network = _with_weights(lambda: IstftNetwork(istft, features), path).to(device)
            return IstftVocoder(network, features, istft.refinement)
        case WorldConfig() as world:
            return WorldVocoder(_with_weights(lambda: WorldNetwork(world, features), path).to(device), features)


def _with_weights(make: Callable[[], Network], path: Path) -> Network:
    with Undrawn():
        network = make()
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise VocoderError(f"{path}: the weights do not fit the header; the file is damaged: {error}") from None
    return network


def _difference(own: FeatureConfig, other: FeatureConfig) -> str:
    """`n_fft 1024 where 2048 is given, ...`: what tells two feature configurations apart besides their names."""
    one, two = asdict(own), asdict(other)
    return ", ".join(
        f"{key} {one[key]} where {two[key]} is given" for key in one if key != "kind" and one[key] != two[key]
    )
