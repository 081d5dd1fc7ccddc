"""Checkpoints of the official SQ-VAE speech code (Takida et al., 2022) as models of ours.

A checkpoint is a dict: `encoder` and `decoder` hold state dicts, `step` a number; the optimiser's part is not needed.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sqcodec.errors import ModelError
from sqcodec.model.assembly import build_codec
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.recipe import CodecRecipe, validate_recipe

VARIANTS = {0: "I", 1: "III"}  # channels of the last convolution beyond the latent's -> variance; twice as many is IV


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dict inside, by an unpickler that builds nothing but tensors and plain values.

    Raises ModelError: missing, damaged, needs another unpickler, or not a checkpoint of the official code.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected a checkpoint of the official code (model.ckpt-500000.pt)")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: refused, reading it would run code that the file brings along, or it is no checkpoint ({reason});"
            " expected tensors, numbers and text alone"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: damaged, or no checkpoint of PyTorch ({type(error).__name__}: {error})") from None
    missing = [name for name in ("encoder", "decoder", "step") if not isinstance(found, dict) or name not in found]
    if missing:
        held = ", ".join(map(str, found)) if isinstance(found, dict) else type(found).__name__
        raise ModelError(
            f"{path}: {', '.join(missing)} missing, got {held}; expected a checkpoint of the official code"
        )
    return dict(found)


def convert(
    checkpoint: dict[str, Any], speakers: tuple[str, ...], recipe: CodecRecipe, *, where: str
) -> SpectrogramCodec:
    """A checkpoint's weights in a codec of ours; the sizes come from the weights, the rest from `recipe`.

    Raises ModelError: weights missing, of another shape, or of another number of speakers.
    """
    encoder, decoder = checkpoint["encoder"], checkpoint["decoder"]
    try:
        sizes = _sizes(encoder, decoder)
    except KeyError as error:
        raise ModelError(f"{where}: {error.args[0]} missing among the weights of the official networks") from None
    known = len(decoder["speaker_embedding.weight"])
    if known != len(speakers):
        raise ModelError(
            f"{where}: the model knows {known} speakers, the list names {len(speakers)}; expected the speakers.json"
            " that the training used"
        )
    codec = build_codec(_resized(recipe, sizes), speakers)
    weights = dict(_encoder(encoder)) | dict(_decoder(decoder))
    try:
        codec.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{where}: the weights do not fit the official networks: {error}") from None
    return codec.eval()


def _sizes(encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor]) -> dict[str, Any]:
    codewords, dim = encoder["codebook.embedding"].shape
    extra = len(encoder["encoder.15.bias"]) - dim
    variance = "IV" if extra == dim else VARIANTS.get(extra)
    if variance is None:
        raise KeyError(f"encoder.15 with {dim}, {dim + 1} or {2 * dim} channels (it has {dim + extra}),")
    return {
        "quantizer": {
            "kind": "gaussian",
            "variance": variance,
            "codewords": codewords,
            "dim": dim,
            "initial_variance": 10.0,
        },
        "network": {
            "kind": "paper",
            "channels": len(encoder["encoder.0.weight"]),
            "speaker_dim": decoder["speaker_embedding.weight"].shape[1],
            "gru": decoder["rnn.weight_hh_l0"].shape[1],
            "jitter": float(encoder["jitter.prob"]) if "jitter.prob" in encoder else 0.5,
        },
    }


def _resized(recipe: CodecRecipe, sizes: dict[str, Any]) -> CodecRecipe:
    return validate_recipe(recipe.model_dump(mode="json") | sizes, where="the checkpoint's sizes").codec


def _encoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """encoder.N.* are the same layers in the same order: convolution, BatchNorm, ReLU, ..., convolution."""
    layers = {name.replace("encoder.", "encoder.layers.", 1): value for name, value in weights.items()}
    kept = {name: value for name, value in layers.items() if name.startswith("encoder.layers.")}
    return kept | {
        "quantizer.codebook": weights["codebook.embedding"],
        "quantizer.log_var_scalar": weights["log_var_q_scalar"].reshape(()),
    }


def _decoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    rooms = {"speaker_embedding": "decoder.speakers", "rnn": "decoder.recurrent", "fc": "decoder.output"}
    return {
        f"{rooms[name.partition('.')[0]]}.{name.partition('.')[2]}": value
        for name, value in weights.items()
        if name.partition(".")[0] in rooms
    }
