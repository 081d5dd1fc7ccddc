"""Convert checkpoints of the official SQ-VAE speech code (Takida et al., 2022) to models of sqcodec.

A checkpoint is a dict: `encoder` and `decoder` are state dicts, `step` is a number. The states of optimiser, scheduler
and amp are ignored. The test makes one with modules that register what theirs register (speech/model.py and
speech/train.py of github.com/sony/sqvae), down to the buffers of jitter and normalisation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sqcodec.errors import ModelError
from sqcodec.model.assembly import build_codec
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.recipe import CodecRecipe, validate_recipe
from sqcodec.tensor_files import load_plain

_VARIANCES = {0: "I", 1: "III"}  # encoder channels beyond those of the latent -> variance; `dim` more: IV


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the checkpoint's dict; the unpickler accepts only tensors and plain values.

    Raises ModelError: missing, damaged, contains other objects, or not a checkpoint of the official code.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected a checkpoint of the official code (model.ckpt-500000.pt)")
    try:
        checkpoint = load_plain(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: refused ({error}); expected a checkpoint of the official code") from None
    keys = checkpoint if isinstance(checkpoint, dict) else {}
    missing = [name for name in ("encoder", "decoder", "step") if name not in keys]
    if missing:
        got = ", ".join(map(str, checkpoint)) if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise ModelError(f"{path}: {', '.join(missing)} missing, got {got}; expected a checkpoint of the official code")
    if name := next((name for name in ("encoder", "decoder") if not _are_weights(checkpoint[name])), None):
        raise ModelError(
            f"{path}: {name!r} holds no finite weights by name; expected a checkpoint of the official code"
        )
    if type(checkpoint["step"]) is not int or checkpoint["step"] < 0:
        raise ModelError(f"{path}: got step {checkpoint['step']!r}, expected a number of steps")
    return dict(checkpoint)


def _are_weights(tree: Any) -> bool:
    return isinstance(tree, dict) and all(
        isinstance(name, str)
        and isinstance(value, Tensor)
        and (not value.is_floating_point() or value.isfinite().all())
        for name, value in tree.items()
    )


def convert(
    checkpoint: dict[str, Any], speakers: tuple[str, ...], recipe: CodecRecipe, *, where: str
) -> SpectrogramCodec:
    """Build a codec with a checkpoint's weights; sizes come from the weights, everything else from `recipe`.

    where: the checkpoint's name in error messages. Raises ModelError: weights are missing or have another shape, or the
    number of speakers differs.
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
    """The recipe's sections `quantizer` and `network`, from the weights' sizes. Raises KeyError: what is missing."""
    if encoder["codebook.embedding"].ndim != 2:
        raise KeyError("codebook.embedding with codewords and dimensions")
    codewords, dim = encoder["codebook.embedding"].shape
    extra = len(encoder["encoder.15.bias"]) - dim
    variance = "IV" if extra == dim else _VARIANCES.get(extra)
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
            "jitter": _jitter(encoder["jitter.prob"]),
        },
    }


def _jitter(probabilities: Tensor) -> float:
    """The probability of a neighbour in a code's place, from those of the code before, the code and the one after.

    Raises KeyError: they are others.
    """
    if probabilities.shape != (3,) or not 0 <= probabilities[1] <= 1:
        raise KeyError("jitter.prob with three probabilities")
    return round(1 - float(probabilities[1]), 6)  # float32


def _resized(recipe: CodecRecipe, sizes: dict[str, Any]) -> CodecRecipe:
    return validate_recipe(recipe.model_dump(mode="json") | sizes, where="the checkpoint's sizes").codec


def _encoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename encoder.N.*: the layers and their order are the same (convolution, BatchNorm, ReLU, ..., convolution)."""
    layers = {name.replace("encoder.", "encoder.layers.", 1): value for name, value in weights.items()}
    kept = {name: value for name, value in layers.items() if name.startswith("encoder.layers.")}
    return kept | {
        "quantizer.codebook": weights["codebook.embedding"],
        "quantizer.log_var_scalar": weights["log_var_q_scalar"].reshape(()),
    }


def _decoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    modules = {"speaker_embedding": "decoder.speakers", "rnn": "decoder.recurrent", "fc": "decoder.output"}
    return {
        f"{modules[name.partition('.')[0]]}.{name.partition('.')[2]}": value
        for name, value in weights.items()
        if name.partition(".")[0] in modules
    }
