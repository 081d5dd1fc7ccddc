"""Operations per second of a codec's parts, counted from the weights of its files: nothing is run.

One operation is a multiplication with an addition (MAC). A matrix or a convolution has one per weight, each time that
it is applied. A real FFT of n points counts as 2.5 n log2 n. Biases, norms, activation functions and sums of codewords
are not counted.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.mel_scale import mel_bands, refinement_fft, shortest_fft
from sqcodec.runtime.search import KEPT
from sqcodec.spectrogram import FeatureConfig

Arrays = Mapping[str, NDArray[Any]]
Side = Literal["sending", "receiving"]

# pattern of a weight's name -> its group, in the order of a network; norms and scales belong to the layer they lead to
_GROUPS = {
    r"embed|norm_in": "first layer",
    r"depthwise": "depthwise convolutions",
    r"blocks\.": "linear layers",
    r"layers\.\d": "convolutions",
    r"speakers": "speaker embedding",
    r"recurrent": "recurrent layers",
    r"output|head|norm_out": "last layer",
}
_STATISTICS = ("mean", "deviation", "running_mean", "running_var", "num_batches_tracked")  # not learned by gradient
_FIRST_CONVOLUTIONS = r"layers\.[0-5]\."  # of the paper's encoder, at the frame rate: the third one halves it


class Group(NamedTuple):
    """Layers of one kind in one part of a codec: how many parameters, and how many MACs per second of sound."""

    part: str
    layers: str
    side: Side
    parameters: int
    macs: float


def of_features(config: FeatureConfig) -> Iterator[Group]:
    """Features of a recording: window and FFT, then the mel filters as they are multiplied, in bands."""
    transform = config.win_length + _fft(config.n_fft)
    filters = sum(band.size for _, band in mel_bands(config))
    yield Group("features", "window, FFT", "sending", 0, config.frame_rate * transform)
    yield Group("features", "mel filters", "sending", 0, config.frame_rate * filters)


def of_encoder(weights: Arrays, config: FeatureConfig) -> Iterator[Group]:
    """The encoder of a model: at the code rate, but for the first convolutions of the paper's."""

    def rate(name: str) -> float:
        return config.frame_rate if re.match(_FIRST_CONVOLUTIONS, name) else config.code_rate

    return _network("encoder", "sending", _within(weights, "encoder."), rate)


def of_search(weights: Arrays, recipe: Mapping[str, Any], config: FeatureConfig, codebooks: int) -> Iterator[Group]:
    """The search of the first `codebooks` for the codewords, where there are any."""
    quantizer = recipe["quantizer"]
    if quantizer["kind"] in ("none", "fsq"):  # no codes, or rounded latents
        return
    codebook = weights["quantizer.codebook"]
    *_, size, dim = codebook.shape
    products, sums = 0, 1
    for _ in range(codebooks):
        products += sums * size * dim
        sums = min(KEPT, sums * size)
    by_dimension = quantizer.get("variance") == "IV"  # one product with the latents, one with their precisions
    yield Group("search", "codewords", "sending", codebook.size, config.code_rate * products * (1 + by_dimension))


def of_decoder(weights: Arrays, config: FeatureConfig) -> Iterator[Group]:
    """The decoder of a model: at the code rate, the paper's at the frame rate."""
    own = _within(weights, "decoder.")
    recurrent = any(name.startswith("recurrent") for name in own)
    return _network("decoder", "receiving", own, lambda _: config.frame_rate if recurrent else config.code_rate)


def of_vocoder(weights: Arrays, config: FeatureConfig) -> Iterator[Group]:
    """The network of a trained vocoder, at the frame rate."""
    return _network("vocoder", "receiving", weights, lambda _: config.frame_rate)


def of_inverse_stft(config: FeatureConfig, *, n_fft: int) -> Group:
    """FFT and window of the sound that a network's spectrum becomes."""
    return Group("inverse STFT", "FFT, window", "receiving", 0, config.frame_rate * (_fft(n_fft) + n_fft))


def of_refinement(config: FeatureConfig, iterations: int, *, contrast: bool) -> Group:
    """Iterations that start from a network's sound: FFT, filters and their spreading, inverse FFT, two windows.

    contrast: whether the target has one, a product with a matrix.
    """
    n_fft = refinement_fft(config)
    each = 2 * (_fft(n_fft) + config.win_length + (n_fft // 2 + 1) * config.n_mels)
    target = config.n_mels**2 if contrast else 0
    return Group("refinement", _times(iterations), "receiving", 0, config.frame_rate * (iterations * each + target))


def of_griffin_lim(config: FeatureConfig, iterations: int) -> Iterator[Group]:
    """The inverse of the mel filters, then Griffin-Lim: a pair of FFTs for each iteration, and one at the end."""
    n_fft = shortest_fft(config)
    inverse, transform = (n_fft // 2 + 1) * config.n_mels, _fft(n_fft) + config.win_length
    yield Group("vocoder", "inverse mel filters", "receiving", 0, config.frame_rate * inverse)
    transforms = config.frame_rate * (2 * iterations + 1) * transform
    yield Group("vocoder", _times(iterations), "receiving", 0, transforms)


def of_context(arrays: Arrays, config: FeatureConfig, codebooks: int) -> float:
    """MACs per second of the context model, which sender and receiver of a `.sqc` both run; 0: there is none."""
    if not arrays:
        return 0.0
    frame = arrays["gru.input.weight"].size + arrays["gru.state.weight"].size
    books = len(arrays["codewords"])
    stage = sum(arrays[f"{name}.weight"].size for name in ("stage.state", "stage.sum", "output")) // books
    return config.code_rate * (frame + codebooks * stage)


def _network(part: str, side: Side, arrays: Arrays, rate: Callable[[str], float]) -> Iterator[Group]:
    for layers in _GROUPS.values():
        own = {name: array for name, array in arrays.items() if _group(name) == layers}
        learned = [array.size for name, array in own.items() if name.rpartition(".")[2] not in _STATISTICS]
        macs = sum(rate(name) * array.size for name, array in own.items() if _is_matrix(name, array))
        if learned:
            yield Group(part, layers, side, sum(learned), macs)


def _group(name: str) -> str:
    return next((layers for pattern, layers in _GROUPS.items() if re.search(pattern, name)), "")


def _is_matrix(name: str, array: NDArray[Any]) -> bool:
    """Whether a weight is multiplied with: of a matrix or a convolution, not of a norm or a table of vectors."""
    return name.rpartition(".")[2].startswith("weight") and array.ndim > 1 and not name.startswith("speakers")


def _within(weights: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}


def _fft(n_fft: int) -> float:
    return 2.5 * n_fft * float(np.log2(n_fft))


def _times(iterations: int) -> str:
    return f"{iterations} iteration{'s' * (iterations > 1)}"
