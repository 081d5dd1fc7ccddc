"""The delay between reference and output: measured in the same way for every system, then removed.

A codec that makes its own phases has no peak in the cross-correlation of waveforms, so spectral envelopes are compared
first (to about a millisecond), and waveforms only near the delay found, and only where they agree.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from sqcodec.metrics.signals import METRIC_RATE, Signal
from sqcodec.metrics.stft import amplitudes

MAX_DELAY = METRIC_RATE // 4  # samples: no codec worth scoring is later than a quarter of a second
_MINUTE = 60 * METRIC_RATE  # of longer recordings only so much is looked at
_HOP = 16  # samples between frames of the envelopes: 1 ms
_WINDOW = 512  # samples, 32 ms: on 9 files of Codec 2 at 3200 bit/s delays spread over 29 samples; with 8 ms over 125
_BANDS = 32
_BINS = 4  # bins a band; together 0 to 4 kHz, which narrow-band codecs pass too
_NEAR = 32  # samples around the envelopes' delay within which waveforms may move it
_AGREE = 0.4  # normalised correlation of waveforms above which they are believed

_Array = NDArray[np.float64]


class Delay(NamedTuple):
    """samples: by which one signal comes later than another. agreement: correlation of their envelopes there, 1 at
    most; that of codecs is .8 or more, that of different recordings .35 or less."""

    samples: int
    agreement: float


def find_delay(reference: Signal, degraded: Signal) -> int:
    """Samples by which `degraded` [M] comes later than `reference` [N] (negative: earlier), within +-`MAX_DELAY`.

    Of a longer signal only the minute with most energy is used. Half of the shorter signal or more must overlap, else
    any agreement would be by chance. 0 when either is silent or below 100 ms.
    """
    found = locate(reference, degraded)
    return found.samples if found else 0


def locate(reference: Signal, degraded: Signal) -> Delay | None:
    """As `find_delay`, with how far the two agree; None when either is silent or below 100 ms."""
    if min(len(reference), len(degraded)) < METRIC_RATE // 10 or not (reference.any() and degraded.any()):
        return None
    begin, end = _loudest_minute(reference)
    reference, degraded = reference[begin:end], degraded[begin:end]
    if not (reference.any() and degraded.any()):
        return None
    furthest = min(MAX_DELAY, min(len(reference), len(degraded)) // 2)
    coarse, agreement = _envelope_delay(reference, degraded, furthest)
    lags = np.arange(max(-furthest, coarse - _NEAR), min(furthest, coarse + _NEAR) + 1)
    correlation = np.abs(_correlation(reference[:, None], degraded[:, None], lags))  # a codec may turn the sign
    energy = np.linalg.norm(reference.astype(np.float64)) * np.linalg.norm(degraded.astype(np.float64))
    best = int(correlation.argmax())
    return Delay(int(lags[best]) if correlation[best] > _AGREE * energy else coarse, agreement)


def remove_delay(degraded: Signal, delay: int, samples: int) -> Signal:
    """`degraded` moved earlier by `delay` samples (later where negative), cut or padded with zeros to [samples]."""
    moved = degraded[delay:] if delay > 0 else np.pad(degraded, (-delay, 0))
    return np.pad(moved[:samples], (0, max(0, samples - len(moved)))).astype(np.float32)


def _loudest_minute(signal: Signal) -> tuple[int, int]:
    """Start and stop of the minute with most energy, in steps of a second; the whole of a shorter signal."""
    if len(signal) <= _MINUTE:
        return 0, max(len(signal), _MINUTE)
    whole = len(signal) // METRIC_RATE
    energy = np.square(signal[: whole * METRIC_RATE].reshape(whole, METRIC_RATE), dtype=np.float64).sum(1)
    minutes = np.convolve(energy, np.ones(60), mode="valid")
    begin = int(minutes.argmax()) * METRIC_RATE
    return begin, begin + _MINUTE


def _envelope_delay(reference: Signal, degraded: Signal, furthest: int) -> Delay:
    """The lag of the highest correlation of the envelopes within +-furthest, refined by a parabola."""
    lags = np.arange(-(furthest // _HOP) - 1, furthest // _HOP + 2)
    first, second = _envelope(reference), _envelope(degraded)
    correlation = _correlation(first, second, lags)
    best = 1 + int(correlation[1:-1].argmax())
    before, at, after = correlation[best - 1 : best + 2]
    curve = before - 2.0 * at + after
    shift = 0.5 * (before - after) / curve if curve < 0 else 0.0
    samples = int(np.clip(round(_HOP * float(lags[best] + np.clip(shift, -0.5, 0.5))), -furthest, furthest))
    energy = float(np.linalg.norm(first) * np.linalg.norm(second))
    return Delay(samples, float(at) / energy if energy else 0.0)


def _envelope(signal: Signal) -> _Array:
    """Level in dB of `_BANDS` bands every millisecond, 50 dB deep, each band's mean removed: [T, bands]."""
    blocks = amplitudes(signal, n_fft=_WINDOW, hop=_HOP, window=_WINDOW)
    power = np.concatenate(
        [(block[:, 1 : 1 + _BINS * _BANDS] ** 2).reshape(len(block), _BANDS, _BINS).sum(2) for block in blocks]
    )
    power /= power.max()
    level = 10.0 * np.log10(np.maximum(power, 1e-5))
    centred: _Array = level - level.mean(0)
    return centred


def _correlation(first: NDArray[np.floating], second: NDArray[np.floating], lags: NDArray[np.intp]) -> _Array:
    """sum over n and columns of first[n] second[n + lag], for each lag; [N, C] and [M, C] -> [lags]."""
    size = next_fast_len(len(first) + len(second), real=True)
    a, b = (rfft(signal.astype(np.float64), size, axis=0) for signal in (first, second))
    circular: _Array = irfft((a.conj() * b).sum(1), size)
    return circular[lags % size]
