"""The networks of `sqcodec.runtime.networks` frame by frame: each layer keeps the frames that its next output needs.

`push` takes frames as they come, any number at a time, and returns those that are certain by then; `flush` ends the
recording. Together they return what the networks return for the whole recording, up to rounding: a layer with a
look-ahead of a frames returns its first frame once it has seen a more.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sqcodec.mel_scale import hann_window
from sqcodec.nn.taps import TAPS
from sqcodec.runtime.layers import Block, Blocks, layer_norm
from sqcodec.runtime.networks import Decoder, Encoder, IstftNetwork, convolved, linear
from sqcodec.runtime.spectra import inverse_fft
from sqcodec.runtime.weights import Array


class Streamed(Protocol):
    """A part that keeps state of constant shape."""

    def push(self, frames: Array) -> Array:
        """Frames [t, inputs] -> those that are certain now, [u, outputs]."""

    def flush(self) -> Array:
        """The rest, once the recording has ended."""


class StreamedBlock:
    """A ConvNeXt block; zeros lie before the first frame and behind the last."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._rows = np.zeros((TAPS - 1, block.dim), np.float32)
        self._early = block.ahead  # outputs for the zeros before the first frame

    def push(self, frames: Array) -> Array:
        """See `Streamed`."""
        if not len(frames):
            return frames
        rows = np.concatenate([self._rows, frames])
        self._rows = rows[len(frames) :]
        around = np.lib.stride_tricks.sliding_window_view(rows, TAPS, axis=0).transpose(0, 2, 1)
        scratch = np.empty((3, len(frames), self._block.hidden), np.float32)
        first = TAPS - 1 - self._block.ahead
        with np.errstate(over="ignore"):  # of the GELU
            out = rows[first : first + len(frames)] + self._block.mixed(around, (scratch[0], scratch[1], scratch[2]))
        early = min(self._early, len(out))
        self._early -= early
        return out[early:]

    def flush(self) -> Array:
        """See `Streamed`."""
        return self.push(np.zeros((self._block.ahead, self._block.dim), np.float32))


class StreamedBlocks:
    """Blocks in sequence."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = [StreamedBlock(block) for block in blocks.blocks]

    def push(self, frames: Array) -> Array:
        """See `Streamed`."""
        for block in self._blocks:
            frames = block.push(frames)
        return frames

    def flush(self) -> Array:
        """See `Streamed`."""
        left = self._blocks[0].flush()
        for block in self._blocks[1:]:
            left = np.concatenate([block.push(left), block.flush()])
        return left


class StreamedEncoder:
    """Features [t, F], with the repeated frames at both ends that `with_context` adds, -> latents [u, channels]."""

    def __init__(self, encoder: Encoder) -> None:
        self.ahead = encoder.blocks.ahead
        self._encoder, self._blocks = encoder, StreamedBlocks(encoder.blocks)
        self._rows = np.zeros((0, len(encoder.scale.mean)), np.float32)  # at most taps + frames per code - 1

    def push(self, frames: Array) -> Array:
        """See `Streamed`."""
        encoder = self._encoder
        rows = np.concatenate([self._rows, (frames - encoder.scale.mean) / encoder.scale.std])
        codes = max(0, (len(rows) - encoder.taps) // encoder.per_code + 1)
        hidden = convolved(np.ascontiguousarray(rows), encoder.embed, encoder.taps, encoder.per_code, codes)
        self._rows = rows[encoder.per_code * codes :]
        return linear(self._blocks.push(hidden), encoder.output)

    def flush(self) -> Array:
        """See `Streamed`."""
        return linear(self._blocks.flush(), self._encoder.output)


class StreamedDecoder:
    """Sums of codewords [t, D] -> features [frames per code x u, F]."""

    def __init__(self, decoder: Decoder) -> None:
        self.ahead = decoder.blocks.ahead
        self._decoder, self._blocks = decoder, StreamedBlocks(decoder.blocks)

    def push(self, frames: Array) -> Array:
        """See `Streamed`."""
        return self._decoder.features(self._blocks.push(linear(frames, self._decoder.embed)))

    def flush(self) -> Array:
        """See `Streamed`."""
        return self._decoder.features(self._blocks.flush())


class StreamedIstftNetwork:
    """Features [t, F] -> complex spectrum [u, bins]."""

    def __init__(self, network: IstftNetwork) -> None:
        self.ahead = network.ahead
        self._network, self._blocks = network, StreamedBlocks(network.blocks)
        self._rows = np.zeros((TAPS - 1, len(network.scale.mean)), np.float32)  # scaled, as the zeros of the padding
        self._early = network.first_ahead

    def push(self, frames: Array) -> NDArray[np.complex64]:
        """See `Streamed`."""
        hidden = self._embed((frames - self._network.scale.mean) / self._network.scale.std)
        return self._network.spectrum(self._blocks.push(layer_norm(hidden, self._network.norm_in)))

    def flush(self) -> NDArray[np.complex64]:
        """See `Streamed`."""
        zeros = np.zeros((self._network.first_ahead, self._rows.shape[1]), np.float32)
        left = self._blocks.push(layer_norm(self._embed(zeros), self._network.norm_in))
        return self._network.spectrum(np.concatenate([left, self._blocks.flush()]))

    def _embed(self, scaled: Array) -> Array:
        rows = np.ascontiguousarray(np.concatenate([self._rows, scaled]), np.float32)
        self._rows = rows[len(scaled) :]
        out = convolved(rows, self._network.embed, TAPS, 1, len(scaled))
        early = min(self._early, len(out))
        self._early -= early
        return out[early:]


class StreamedInverseStft:
    """Spectrum [t, bins] -> sound [n], by overlap and add of windows as long as the FFT.

    ahead: samples behind a frame's hop that it needs.
    """

    def __init__(self, n_fft: int, hop_length: int) -> None:
        self._n_fft, self._hop, self._window = n_fft, hop_length, hann_window(n_fft)
        self.ahead = (n_fft - hop_length) // 2
        self._sums = np.zeros((2, n_fft - hop_length), np.float32)  # of frames, and of squared windows
        self._early = self.ahead

    def push(self, frames: NDArray[np.complex64]) -> Array:
        """See `Streamed`."""
        sound = np.empty((len(frames), self._n_fft), np.float32)
        inverse_fft(frames, self._n_fft, out=sound)
        pieces = [self._add(frame * self._window) for frame in sound]
        return self._after_the_start(np.concatenate([np.zeros(0, np.float32), *pieces]))

    def flush(self) -> Array:
        """See `Streamed`."""
        sums = self._sums[:, : self._sums.shape[1] - self.ahead]
        rest: Array = sums[0] / np.maximum(sums[1], np.finfo(np.float32).tiny)
        return self._after_the_start(rest)

    def _add(self, frame: Array) -> Array:
        """One windowed frame more: the hop that no later frame reaches."""
        added = np.stack([frame, np.square(self._window)])
        added[:, : self._sums.shape[1]] += self._sums
        self._sums = added[:, self._hop :]
        ready: Array = added[0, : self._hop] / np.maximum(added[1, : self._hop], np.finfo(np.float32).tiny)
        return ready

    def _after_the_start(self, sound: Array) -> Array:
        early = min(self._early, len(sound))
        self._early -= early
        return sound[early:]
