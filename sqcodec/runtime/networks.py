"""Encoder, decoder and vocoder network in NumPy, from the weights of their files: one recording, frames first."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqcodec.nn.taps import TAPS, ahead_of_each
from sqcodec.runtime.layers import Blocks, layer_norm
from sqcodec.runtime.weights import Array, Weights

_CONTEXT_FRAMES = 2  # frames of the encoder's first kernel beside the code's own, one on each side
_ROWS = 128  # frames whose spectrum is made at once
_MAX_MAGNITUDE = np.float32(1e2)  # the limit of a magnitude, as in `sqcodec.vocoder.istft`


class BandScale:
    """Mean and standard deviation of each band."""

    def __init__(self, weights: Weights, bands: int) -> None:
        self.mean = weights.get("mean", bands, 1)[:, 0]
        self.std = weights.get("deviation", bands, 1)[:, 0]


class Encoder:
    """Features [frames per code x T + 2, F] -> latents [T, latents]. margin: frames of context that it needs."""

    def __init__(self, weights: Weights, config: Mapping[str, Any], *, bands: int, per_code: int, latents: int) -> None:
        dim, hidden, layers = config["dim"], config["hidden"], config["encoder_layers"]
        self.per_code, self.taps = per_code, per_code + _CONTEXT_FRAMES
        self.scale = BandScale(weights.section("scale"), bands)
        self.embed = weights.convolution("embed", bands, dim, self.taps)
        ahead = ahead_of_each(layers - 1, config["encoder_lookahead"])
        self.blocks = Blocks(weights.section("blocks"), dim=dim, hidden=hidden, ahead=ahead)
        self.output = weights.linear("output", dim, latents)
        self.margin = per_code * max(self.blocks.behind, self.blocks.ahead)

    def __call__(self, features: Array) -> Array:
        """A recording, or a block of one with its context."""
        scaled = np.ascontiguousarray((features - self.scale.mean) / self.scale.std)
        codes = (len(scaled) - _CONTEXT_FRAMES) // self.per_code
        hidden = self.blocks(convolved(scaled, self.embed, self.taps, self.per_code, codes))
        return linear(hidden, self.output)


class Decoder:
    """Sums of codewords [T, D] -> features [frames per code x T, F]. margin: codes of context that it needs."""

    def __init__(
        self, weights: Weights, config: Mapping[str, Any], *, bands: int, per_code: int, codeword: int
    ) -> None:
        dim, hidden, layers = config["dim"], config["hidden"], config["decoder_layers"]
        self._bands = bands
        self.scale = BandScale(weights.section("scale"), bands)
        self.embed = weights.linear("embed", codeword, dim)
        ahead = ahead_of_each(layers - 1, config["decoder_lookahead"])
        self.blocks = Blocks(weights.section("blocks"), dim=dim, hidden=hidden, ahead=ahead)
        self.output = weights.linear("output", dim, per_code * bands)
        self.margin = max(self.blocks.behind, self.blocks.ahead)

    def __call__(self, z_q: Array) -> Array:
        """A recording, or a block of one with its context."""
        return self.features(self.blocks(linear(z_q, self.embed)))

    def features(self, hidden: Array) -> Array:
        """What the blocks return, [T, dim] -> features [frames per code x T, F]."""
        decoded = linear(hidden, self.output).reshape(-1, self._bands)
        decoded *= self.scale.std
        decoded += self.scale.mean
        return decoded


class IstftNetwork:
    """Features [T, F] -> complex spectrum [T, bins]. behind, ahead: frames of context that it needs."""

    def __init__(self, weights: Weights, config: Mapping[str, Any], *, bands: int, n_fft: int) -> None:
        dim, hidden, layers = config["dim"], config["hidden"], config["layers"]
        trunk = weights.section("trunk")
        self.first_ahead, *rest = ahead_of_each(layers, config["lookahead"])
        self.scale = BandScale(trunk.section("scale"), bands)
        self.embed = trunk.convolution("embed", bands, dim, TAPS)
        self.norm_in, self.norm_out = (
            (trunk.get(f"{name}.weight", dim), trunk.get(f"{name}.bias", dim)) for name in ("norm_in", "norm_out")
        )
        self.blocks = Blocks(trunk.section("blocks"), dim=dim, hidden=hidden, ahead=rest)
        self.head, self._bins = weights.linear("head", dim, n_fft + 2), n_fft // 2 + 1
        self.ahead = self.first_ahead + self.blocks.ahead
        self.behind = (TAPS - 1) * (layers + 1) - self.ahead

    def __call__(self, features: Array) -> NDArray[np.complex64]:
        """A recording, or a block of one with its context; edges are padded with zeros at every layer."""
        frames, bands = features.shape
        scaled = np.zeros((frames + TAPS - 1, bands), np.float32)
        first = TAPS - 1 - self.first_ahead
        scaled[first : first + frames] = (features - self.scale.mean) / self.scale.std
        hidden = layer_norm(convolved(scaled, self.embed, TAPS, 1, frames), self.norm_in)
        return self.spectrum(self.blocks(hidden))

    def spectrum(self, hidden: Array) -> NDArray[np.complex64]:
        """What the blocks return, [T, dim] -> the complex spectrum [T, bins]."""
        normed = layer_norm(hidden, self.norm_out)
        spectrum = np.empty((len(normed), self._bins), np.complex64)
        for start in range(0, len(normed), _ROWS):
            rows = slice(start, start + _ROWS)
            spectrum[rows] = self._polar(linear(normed[rows], self.head))
        return spectrum

    def _polar(self, head: Array) -> NDArray[np.complex64]:
        """Log-magnitude and phase [T, 2 bins] -> the complex spectrum [T, bins]."""
        with np.errstate(over="ignore"):  # limited in the same line
            magnitude = np.minimum(np.exp(head[:, : self._bins]), _MAX_MAGNITUDE)
        phase = head[:, self._bins :]
        spectrum = np.empty(phase.shape, np.complex64)
        np.multiply(magnitude, np.cos(phase), out=spectrum.real)
        np.multiply(magnitude, np.sin(phase), out=spectrum.imag)
        return spectrum


def linear(x: Array, layer: tuple[Array, Array]) -> Array:
    """x [T, inputs] through a matrix [inputs, outputs] and a bias."""
    matrix, bias = layer
    made: Array = x @ matrix
    made += bias
    return made


def convolved(x: Array, layer: tuple[Array, Array], taps: int, stride: int, count: int) -> Array:
    """A convolution of x [T, C] without padding as one product: [count, outputs], each `stride` frames on."""
    rows, columns = x.strides
    around = np.lib.stride_tricks.as_strided(x, (count, taps * x.shape[1]), (stride * rows, columns), writeable=False)
    return linear(np.ascontiguousarray(around), layer)  # rows that overlap are no matrix for BLAS
