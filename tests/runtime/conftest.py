"""Networks with random weights in files, opened in torch and in NumPy."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from sqcodec.model.assembly import build_codec
from sqcodec.model.model_file import load_model, save_model
from sqcodec.model.model_header import read_model
from sqcodec.model.torch_engine import TorchEngine
from sqcodec.recipe import load_recipe
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.runtime.numpy_engine import NumpyEngine
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder
from sqcodec.vocoder.vocoder_file import load_vocoder, save_vocoder
from sqcodec.vocoder.vocoder_header import read_header
from tests.vocoder.conftest import small_istft

MODEL = (
    "network={kind: convnext, dim: 48, hidden: 64, encoder_layers: 3, decoder_layers: 4, encoder_lookahead: 4,"
    " decoder_lookahead: 5}",
    "quantizer.codewords=64", "quantizer.dim=12", "quantizer.stages=5",
)  # fmt: skip


class Both(NamedTuple):
    """One file in two engines, and one vocoder's file in two vocoders."""

    torch: TorchEngine
    numpy: NumpyEngine
    torch_vocoder: IstftVocoder
    numpy_vocoder: NumpyIstftVocoder


def randomise_(module: nn.Module, seed: int) -> None:
    """Every weight and bias at random, so that each layer changes its input about as much as that is large."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("deviation"):
                value.copy_(1.0 + noise.abs())
            elif "norm" in name and name.endswith("weight"):
                value.copy_(1.0 + 0.2 * noise)
            elif value.ndim > 1 and "codebook" not in name:
                value.copy_(noise / value[0].numel() ** 0.5)
            else:
                value.copy_(0.3 * noise)


def make_model(path: Path, *overrides: str) -> Path:
    codec = build_codec(load_recipe("speech16k", (*MODEL, *overrides)), ())
    randomise_(codec, 0)
    with torch.no_grad():  # codewords as far apart as latents, each stage half as far as the one before
        codec.quantizer.codebook *= torch.tensor([4 * 2.0**-stage for stage in range(5)])[:, None, None]
        codec.encoder.scale.set_(torch.full((80,), -6.0), torch.full((80,), 2.0))  # about those of log-mel features
    save_model(path, codec, 1)
    return path


def make_vocoder(path: Path, *overrides: str, contrast: torch.Tensor | None = None) -> Path:
    config, features = small_istft("vocoder.dim=48", "vocoder.hidden=64", *overrides), FEATURES["log-mel"]
    network = IstftNetwork(config, features)
    randomise_(network, 1)
    network.contrast = contrast
    save_vocoder(path, network, config=config, features=features, step=1, codec=None)
    return path


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("both")
    model, vocoder = make_model(folder / "model.safetensors"), make_vocoder(folder / "vocoder.safetensors")
    in_torch = load_vocoder(vocoder, FEATURES["log-mel"])
    assert isinstance(in_torch, IstftVocoder)
    return Both(
        TorchEngine(load_model(model)),
        NumpyEngine(read_model(model)),
        in_torch,
        NumpyIstftVocoder(read_header(vocoder)),
    )
