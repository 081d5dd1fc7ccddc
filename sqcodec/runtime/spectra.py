"""Frames of sound in NumPy, and sound from frames: what `sqcodec.dsp` does in torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqcodec.arrays import frames_of
from sqcodec.mel_scale import hann_window
from sqcodec.runtime.weights import Array


def frames_same(sound: Array, win_length: int, hop_length: int) -> Array:
    """Sound [hop T] -> a view of its frames [T, win_length], frame t centred on the middle of hop t; zeros outside."""
    return frames_of(np.pad(sound, (win_length - hop_length) // 2), win_length, hop_length)


def forward_fft(frames: Array, *, out: NDArray[np.complex64]) -> None:
    """Frames [T, n_fft] -> out [T, n_fft // 2 + 1], divided by n_fft: without a norm NumPy computes in float64."""
    rfft: Any = np.fft.rfft  # its types know float64 alone
    rfft(frames, norm="forward", out=out)


def inverse_fft(spectrum: NDArray[np.complex64], n_fft: int, *, out: Array) -> None:
    """Spectrum [T, n_fft // 2 + 1] -> out [T, n_fft], in float32."""
    irfft: Any = np.fft.irfft  # its types know float64 alone
    irfft(spectrum, n=n_fft, out=out)


def overlap_add_same(frames: Array, hop_length: int, weights: Array | None = None) -> Array:
    """Frames [T, win_length], windowed twice, -> the sound [hop T] nearest to them in the least squares.

    weights: `window_weights` of frames of this shape, where there are several such; None: computed.
    """
    around = (frames.shape[1] - hop_length) // 2
    sound = _overlap_add(frames, hop_length)[around:-around]
    sound /= window_weights(len(frames), frames.shape[1], hop_length) if weights is None else weights
    return sound


def window_weights(count: int, length: int, hop_length: int) -> Array:
    """The part of each sample [hop T] that `count` frames [length], windowed twice, have in their sum."""
    around = (length - hop_length) // 2
    window = np.broadcast_to(np.square(hann_window(length)), (count, length))
    return _overlap_add(window, hop_length)[around:-around]


def _overlap_add(frames: Array, hop_length: int) -> Array:
    """Frames [T, n], each hop_length after the last -> their sum [n + hop_length (T - 1)]."""
    count, length = frames.shape
    hops = -(-length // hop_length)
    summed = np.zeros((count + hops - 1, hop_length), np.float32)
    for hop in range(hops):
        part = frames[:, hop * hop_length : (hop + 1) * hop_length]
        summed[hop : hop + count, : part.shape[1]] += part
    return summed.reshape(-1)[: length + hop_length * (count - 1)]
