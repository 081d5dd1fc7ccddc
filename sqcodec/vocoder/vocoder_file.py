"""Vocoder files: safetensors with the recipe's section, the feature configuration and the step in the header."""

from collections.abc import Callable, Container
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from sqcodec.errors import VocoderError
from sqcodec.nn.uninitialised import NoInitialisation
from sqcodec.recipe import IstftConfig, TrainedVocoderConfig, VocoderConfig, WorldConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.tensor_files import read_tensors, save_tensors
from sqcodec.vocoder.interface import VocoderPrecision
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder
from sqcodec.vocoder.vocoder_header import FORMAT, KIND, VocoderHeader, header_for
from sqcodec.vocoder.world import WorldNetwork, WorldVocoder

Network = TypeVar("Network", bound=nn.Module)


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
    save_tensors(path, {name: value.to(dtype) for name, value in network.state_dict().items()}, header, KIND)


def config_of(header: VocoderHeader) -> TrainedVocoderConfig:
    """The section `vocoder` of the recipe in a header. Raises VocoderError: it is damaged."""
    try:
        config = TypeAdapter[VocoderConfig](VocoderConfig).validate_python(header.config)
        if not isinstance(config, IstftConfig | WorldConfig):
            raise TypeError(f"{config.kind} has no weights")
    except (TypeError, ValueError, ValidationError) as error:
        raise KIND.refusal(header.path, error) from None
    return config


def load_vocoder(
    path: Path,
    features: FeatureConfig,
    device: torch.device | str = "cpu",
    precision: VocoderPrecision = "float32",
) -> IstftVocoder | WorldVocoder:
    """A vocoder ready for use on `features`; precision: of the products of an `istft`.

    Raises VocoderError as `read_header`, when it is for other features, or when the weights do not fit it.
    """
    match config_of(header_for(path, features)):
        case IstftConfig() as istft:
            network = _with_weights(lambda names: IstftNetwork(istft, features, contrast="contrast" in names), path)
            network = network.to(device)
            return IstftVocoder(network, features, istft.refinement, precision)
        case WorldConfig() as world:
            return WorldVocoder(_with_weights(lambda _: WorldNetwork(world, features), path).to(device), features)


def _with_weights(make: Callable[[Container[str]], Network], path: Path) -> Network:
    """The network with the weights of a file; make: takes their names."""
    try:
        weights = read_tensors(path, KIND)[1]
        with NoInitialisation():
            network = make(weights)
        network.load_state_dict(weights)
    except (RuntimeError, MemoryError, TypeError, ValueError, OverflowError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[:3])
        raise VocoderError(f"{path}: the weights do not fit the header; the file is damaged: {reason}") from None
    return network
