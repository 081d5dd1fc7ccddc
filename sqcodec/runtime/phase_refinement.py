"""Griffin-Lim iterations from a network's sound in NumPy: what `sqcodec.vocoder.refinement` does in torch."""

import numpy as np
from numpy.typing import NDArray

from sqcodec.arrays import mel_amplitude, pre_emphasise
from sqcodec.mel_scale import fading, hann_window, refinement_fft, spreading
from sqcodec.runtime.spectra import forward_fft, frames_same, inverse_fft, overlap_add_same, window_weights
from sqcodec.runtime.weights import Array
from sqcodec.spectrogram import FeatureConfig

_MIN_AMPLITUDE = np.float32(1e-9)  # amplitude below which a phase means nothing
_LIMIT = np.float32(100.0)  # a band is raised or lowered by 40 dB at most in one iteration
_PIECES = 4  # of a banded matrix: more are smaller products and more calls
_ROWS = 128  # frames at once: their spectra stay in the cache, and calls of NumPy are few


def refine(
    sound: Array,
    features: Array,
    config: FeatureConfig,
    *,
    iterations: int,
    momentum: float,
    fades: tuple[float, float] | None = None,
    contrast: Array | None = None,
) -> Array:
    """sound [hop T], features [T, F] -> sound [hop T] (fast Griffin-Lim, Perraudin et al., WASPAA 2013).

    fades, contrast: see `sqcodec.vocoder.refinement.refine`.
    """
    if not iterations:
        return sound
    step = _Step(config, momentum, fades)
    mel = _target(features, contrast, config)
    sound = pre_emphasise(sound, 0.0, config.pre_emphasis) if config.pre_emphasis else sound
    spectra = np.empty((2, len(features), step.bins), np.complex64)  # of this iteration and of the last one
    corrected = np.empty((len(features), config.win_length), np.float32)
    weights = window_weights(len(features), config.win_length, config.hop_length)
    for iteration in range(iterations):
        frames = frames_same(sound, config.win_length, config.hop_length)
        now, former = spectra[iteration % 2], spectra[1 - iteration % 2]
        for start in range(0, len(features), _ROWS):
            rows = slice(start, start + _ROWS)
            step(frames[rows], mel[rows], now[rows], former[rows] if iteration else None, corrected[rows])
        sound = overlap_add_same(corrected, config.hop_length, weights)
    return _de_emphasise(sound, config.pre_emphasis)


def _target(features: Array, contrast: Array | None, config: FeatureConfig) -> Array:
    """Mel amplitudes [T, F]; the contrast raises peaks more than it lowers valleys, so each frame is made softer."""
    plain: Array = mel_amplitude(features, config.dynamic_range)
    if contrast is None:
        return plain
    sharp: Array = mel_amplitude(features + features @ contrast.T, config.dynamic_range)
    before, after = (
        np.maximum(np.square(each).sum(axis=1, keepdims=True), _MIN_AMPLITUDE**2) for each in (plain, sharp)
    )
    sharp *= np.sqrt(before / after)
    return sharp


class _Step:
    """One iteration on _ROWS frames or fewer."""

    def __init__(self, config: FeatureConfig, momentum: float, fades: tuple[float, float] | None) -> None:
        self._n_fft, self._length = refinement_fft(config), config.win_length
        self._window, self._momentum = hann_window(config.win_length), np.float32(momentum)
        self._analysis = np.float32(self._n_fft) * self._window  # makes up for the norm of `forward_fft`
        filters, spread = spreading(config)
        self._filters, self._spread = _Banded(filters), _Banded(spread)
        self._strength = None if fades is None else fading(config, *fades)
        self.bins = self._n_fft // 2 + 1
        self._padded = np.zeros((_ROWS, self._n_fft), np.float32)
        self._pushed = np.empty((_ROWS, self.bins), np.complex64)
        self._sound = np.empty((_ROWS, self._n_fft), np.float32)
        self._magnitudes, self._factors = np.empty((2, _ROWS, self.bins), np.float32)
        self._errors = np.empty((_ROWS, filters.shape[1]), np.float32)

    def __call__(
        self,
        frames: Array,
        mel: Array,
        spectrum: NDArray[np.complex64],
        former: NDArray[np.complex64] | None,
        out: Array,
    ) -> None:
        """frames [t, n] and target amplitudes mel [t, F] -> out [t, n], corrected and windowed once more.

        spectrum [t, bins]: becomes that of the frames; former: that of the last iteration.
        """
        size = len(frames)
        padded, pushed, sound = self._padded[:size], self._pushed[:size], self._sound[:size]
        magnitude, factor, error = self._magnitudes[:size], self._factors[:size], self._errors[:size]
        np.multiply(frames, self._analysis, out=padded[:, : self._length])
        forward_fft(padded, out=spectrum)
        np.abs(spectrum, out=magnitude)
        np.maximum(magnitude, _MIN_AMPLITUDE, out=magnitude)
        self._filters.apply(magnitude, out=error)
        np.maximum(error, _MIN_AMPLITUDE, out=error)
        np.divide(mel, error, out=error)
        np.maximum(error, 1 / _LIMIT, out=error)
        np.minimum(error, _LIMIT, out=error)
        if self._strength is not None:
            np.power(error, self._strength, out=error)
        self._spread.apply(error, out=factor)
        if former is None:
            np.multiply(spectrum, factor, out=pushed)
        else:  # phases extrapolated from the last iteration
            np.subtract(spectrum, former, out=pushed)
            pushed *= self._momentum
            pushed += spectrum
            factor *= magnitude
            np.abs(pushed, out=magnitude)
            np.maximum(magnitude, _MIN_AMPLITUDE, out=magnitude)
            factor /= magnitude
            pushed *= factor
        inverse_fft(pushed, self._n_fft, out=sound)
        np.multiply(sound[:, : self._length], self._window, out=out)


class _Banded:
    """A matrix [inputs, outputs] that is 0 far from its diagonal: pieces of it, each with the inputs that it needs."""

    def __init__(self, matrix: Array) -> None:
        self._pieces = list[tuple[slice, slice, Array]]()
        for outputs in np.array_split(np.arange(matrix.shape[1]), min(_PIECES, matrix.shape[1])):
            columns = slice(int(outputs[0]), int(outputs[-1]) + 1)
            used = np.flatnonzero(matrix[:, columns].any(axis=1))
            rows = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
            self._pieces.append((rows, columns, np.ascontiguousarray(matrix[rows, columns])))

    def apply(self, values: Array, *, out: Array) -> None:
        """values [t, inputs] -> out [t, outputs]."""
        for rows, columns, part in self._pieces:
            np.matmul(values[:, rows], part, out=out[:, columns])


def _de_emphasise(samples: Array, coefficient: float) -> Array:
    """The inverse of `pre_emphasise` with a previous sample of 0, as `sqcodec.dsp.de_emphasise` has it."""
    step, factor = 1, coefficient
    while step < len(samples) and factor > 1e-12:  # 1 / (1 - c z) = (1 + c z) (1 + c^2 z^2) (1 + c^4 z^4) ...
        samples = samples.copy() if step == 1 else samples
        samples[step:] += np.float32(factor) * samples[:-step].copy()
        step, factor = 2 * step, factor**2
    return samples
