"""Vocoder files: safetensors with the recipe's section, the feature configuration and the step in the header."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from sqcodec.errors import VocoderError
from sqcodec.nn.uninitialised import NoInitialisation
from sqcodec.recipe import IstftConfig, TrainedVocoderConfig, VocoderConfig, WorldConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.storage import TensorFormat, read_tensors, save_tensors
from sqcodec.storage import read_header as read_tree
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder
from sqcodec.vocoder.world import WorldNetwork, WorldVocoder

FORMAT = 1
_KIND = TensorFormat(
    key="sqcodec-vocoder",
    newest=FORMAT,
    error=VocoderError,
    missing="no such vocoder file; 'sqcodec train RECIPE' with `stage` vocoder makes one under runs/",
    newer="got vocoder format {found}, this version of sqcodec reads up to {newest}; update sqcodec",
    expected="not a vocoder of sqcodec ({reason}); expected a vocoder.safetensors that 'sqcodec train RECIPE' with"
    " `stage` vocoder wrote",
)
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class VocoderHeader:
    """The header of a vocoder file. codec: fingerprint of the codec whose output it was fine-tuned on; None: features
    of recordings."""

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
    save_tensors(path, {name: value.to(dtype) for name, value in network.state_dict().items()}, header, _KIND)


def read_header(path: Path) -> VocoderHeader:
    """The header of a vocoder file. Raises VocoderError: missing, not a vocoder of ours, or made by a later version."""
    header = read_tree(path, _KIND)
    try:
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
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise _KIND.refusal(path, error) from None


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
    with NoInitialisation():
        network = make()
    try:
        network.load_state_dict(read_tensors(path, _KIND)[1])
    except RuntimeError as error:
        raise VocoderError(f"{path}: the weights do not fit the header; the file is damaged: {error}") from None
    return network


def _difference(own: FeatureConfig, other: FeatureConfig) -> str:
    """`n_fft 1024 where 2048 is given, ...`: what tells two feature configurations apart besides their names."""
    one, two = asdict(own), asdict(other)
    return ", ".join(
        f"{key} {one[key]} where {two[key]} is given" for key in one if key != "kind" and one[key] != two[key]
    )
