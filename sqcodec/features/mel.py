"""Log-mel spectrograms, whole or block by block (DESIGN: features `paper-mel` and `log-mel`).

Frame t is centred on sample hop t. A window shorter than the FFT is taken without its zero padding: a shift changes the
phase of a spectrum, never its magnitude, so only win_length samples a frame are read and reflected at the edges.

Samples are NumPy arrays or torch tensors, on any device; the features are of the same kind.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from sqcodec import mel_scale
from sqcodec.arrays import AnyArray, amplitude_to_db, frames_of, namespace, pre_emphasise, reflect_index
from sqcodec.errors import AudioError
from sqcodec.recording import Recording
from sqcodec.spectrogram import PEAK, FeatureConfig

_Array = NDArray[np.float32]
_FRAMES_AT_ONCE = 16  # their spectra stay in the cache, and NumPy keeps such small buffers for the next ones
_BLOCK_FRAMES = 1000
_KEPT_FRAMES = 30_000  # 5 minutes, 9.6 MB of amplitudes


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What the whole recording must tell before its first frame can be scaled.

    samples: at the rate of the features; peak: largest |sample|; loudest: largest mel amplitude of the
    recording at its own level.
    """

    samples: int
    peak: float
    loudest: float

    @property
    def gain(self) -> float:
        """What a decoder multiplies its peak-normalised output by; 0 for digital silence."""
        return self.peak / PEAK


def extract(samples: AnyArray, config: FeatureConfig) -> AnyArray:
    """Features of a whole recording: samples [N] float32 at config.sample_rate -> [F, config.frame_count(N)].

    Raises AudioError: no samples, or samples that are not finite.
    """
    amplitude = _mel_amplitude(_emphasised(samples, 0.0, config), 0, samples.shape[-1], config)
    statistics = Statistics(samples=len(samples), peak=_peak(samples), loudest=float(amplitude.max()))
    return scaled(amplitude, statistics, config)


def features_of(recording: Recording, config: FeatureConfig) -> tuple[Statistics, Iterator[_Array]]:
    """Statistics and features [F, t] ... of a recording in NumPy, together what `extract` gives.

    One of up to 5 minutes is read and analysed once: its mel amplitudes, not scaled yet, are kept meanwhile. A longer
    one is read twice, so that memory does not grow. Raises AudioError: no samples, or samples that are not finite.
    """
    statistics, kept = _first_pass(recording.blocks(config.sample_rate), config, keep=_KEPT_FRAMES)
    again = recording.blocks(config.sample_rate) if kept is None else ()
    pieces = _amplitude_blocks(again, config, _BLOCK_FRAMES) if kept is None else iter(kept)
    return statistics, (scaled(piece, statistics, config) for piece in pieces)


def _first_pass(
    blocks: Iterable[AnyArray], config: FeatureConfig, *, keep: int
) -> tuple[Statistics, list[AnyArray] | None]:
    """The statistics; and the mel amplitudes [F, t] ... where they are not more than `keep` frames, otherwise None."""
    measured, loudest = _Measured(blocks), 0.0
    kept: list[AnyArray] | None = []
    for amplitude in _amplitude_blocks(measured, config, _BLOCK_FRAMES):
        loudest = max(loudest, float(amplitude.max()))
        if kept is not None:
            kept.append(amplitude)
            if _BLOCK_FRAMES * len(kept) > keep:
                kept = None
    if not measured.samples:
        raise AudioError("the recording holds no samples; expected at least one")
    return Statistics(samples=measured.samples, peak=measured.peak, loudest=loudest), kept


class _Measured(Generic[AnyArray]):
    """Blocks [n] that are measured as they pass: their samples and largest |sample| so far; empty ones are dropped."""

    def __init__(self, blocks: Iterable[AnyArray]) -> None:
        self._blocks: Iterable[AnyArray] = blocks
        self.samples, self.peak = 0, 0.0

    def __iter__(self) -> Iterator[AnyArray]:
        for block in self._blocks:
            if len(block):
                self.samples += len(block)
                self.peak = max(self.peak, _peak(block))
                yield block


def _amplitude_blocks(blocks: Iterable[AnyArray], config: FeatureConfig, block_frames: int) -> Iterator[AnyArray]:
    """Mel amplitudes [F, t] at the recording's own level, holding one block and half a window of samples on each side.

    A frame is computed when all its samples are known; what lies behind the end is reflected once the end is seen.
    """
    half, hop = config.win_length // 2, config.hop_length
    held_from, previous, frame = 0, 0.0, 0
    held: AnyArray | None = None
    for block in blocks:
        emphasised = _emphasised(block, previous, config)
        held = emphasised if held is None else namespace(block).concatenate([held, emphasised])
        previous = float(block[-1])
        # The first frames reflect samples half a window ahead; short recordings wait for their end.
        ready = (held_from + len(held) - 2 * half) // hop
        while ready - frame >= block_frames:
            yield frames_amplitude(held, held_from, None, frame, frame + block_frames, config)
            frame += block_frames
            keep_from = max(0, frame * hop - 2 * half)  # the last frames reflect samples before the end
            held, held_from = held[keep_from - held_from :], keep_from
    if held is None:
        return
    total = held_from + len(held)
    last = config.frame_count(total)
    while frame < last:
        stop = min(last, frame + block_frames)
        yield frames_amplitude(held, held_from, total, frame, stop, config)
        frame = stop


def _emphasised(samples: AnyArray, previous: float, config: FeatureConfig) -> AnyArray:
    return pre_emphasise(samples, previous, config.pre_emphasis) if config.pre_emphasis else samples


def _mel_amplitude(emphasised: AnyArray, held_from: int, total: int, config: FeatureConfig) -> AnyArray:
    if not total:
        raise AudioError("the recording holds no samples; expected at least one")
    return frames_amplitude(emphasised, held_from, total, 0, config.frame_count(total), config)


def frames_amplitude(
    held: AnyArray, held_from: int, total: int | None, start: int, stop: int, config: FeatureConfig
) -> AnyArray:
    """Mel amplitude [F, stop - start] of frames start to stop - 1; held [n] begins at sample held_from of the
    recording, which has total samples; None while its end is not known (then no frame asked for reaches it)."""
    half, hop = config.win_length // 2, config.hop_length
    span = _reflected(held, held_from, total, start * hop - half, (stop - 1) * hop + half)
    frames = frames_of(span, config.win_length, hop)
    window, bands = _constants(held, config)
    parts = [
        _mel(_magnitude(frames[first : first + _FRAMES_AT_ONCE] * window, config.n_fft), bands)
        for first in range(0, stop - start, _FRAMES_AT_ONCE)
    ]
    amplitude: AnyArray = namespace(held).concatenate(parts, axis=-1)
    return amplitude


def _constants(array: AnyArray, config: FeatureConfig) -> tuple[Any, list[tuple[int, Any]]]:
    """Window and `mel_bands`, of the array's kind and on its device."""
    if isinstance(array, np.ndarray):
        return mel_scale.hann_window(config.win_length), mel_scale.mel_bands(config)
    from sqcodec import dsp  # imports torch

    return dsp.hann_window(config.win_length, array.device), dsp.mel_bands(config, array.device)


def _reflected(held: AnyArray, held_from: int, total: int | None, begin: int, end: int) -> AnyArray:
    """Samples begin to end - 1 of the recording, reflected where it has none."""
    known = held_from + len(held) if total is None else total
    before, after = (
        held[reflect_index(np.arange(*outside), known) - held_from]
        for outside in ((begin, max(begin, 0)), (min(end, known), end))
    )
    inside = held[max(begin, 0) - held_from : min(end, known) - held_from]
    span: AnyArray = namespace(held).concatenate([before, inside, after])
    return span


def _mel(magnitude: AnyArray, bands: list[tuple[int, Any]]) -> AnyArray:
    """Magnitudes [t, n_fft // 2 + 1] -> mel amplitude [F, t]."""
    parts = [filters @ magnitude[:, first : first + filters.shape[1]].T for first, filters in bands]
    amplitude: AnyArray = namespace(magnitude).concatenate(parts)
    return amplitude


def _magnitude(frames: AnyArray, n_fft: int) -> AnyArray:
    """|FFT| of windowed frames [t, win_length] -> [t, n_fft // 2 + 1]; quicker than the overflow-proof abs."""
    xp = namespace(frames)
    spectrum = xp.fft.rfft(frames, n=n_fft)
    power = xp.square(spectrum.real)
    power += xp.square(spectrum.imag)
    magnitude: AnyArray = xp.sqrt(power)
    return magnitude


def _peak(samples: AnyArray) -> float:
    if not len(samples):
        raise AudioError("the recording holds no samples; expected at least one")
    peak = max(float(samples.max()), -float(samples.min()))
    if not peak < float("inf"):  # NaN compares false too
        raise AudioError(
            "the recording holds samples that are not finite (NaN or infinity); repair or leave out the file"
        )
    return peak


def scaled(amplitude: AnyArray, statistics: Statistics | None, config: FeatureConfig) -> AnyArray:
    """Features of mel amplitudes [F, t]. statistics: of the whole recording; None where the features need none."""
    xp = namespace(amplitude)
    if config.dynamic_range is None or statistics is None:
        features: AnyArray = xp.log(xp.clip(amplitude, config.floor, None))
        return features
    gain = 1.0 / statistics.gain if statistics.peak else 1.0
    ceiling = max(config.floor, gain * statistics.loudest)
    lowest = 20.0 * math.log10(ceiling) - config.dynamic_range
    decibels = amplitude_to_db(xp.clip(amplitude * gain, config.floor, None))
    features = xp.clip(decibels, lowest, None)
    features /= config.dynamic_range
    features += 1.0
    return features
