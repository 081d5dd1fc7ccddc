"""Log-mel spectrograms, whole or block by block (DESIGN: features `paper-mel` and `log-mel`).

Frame t is centred on sample hop t. A window shorter than the FFT is taken without its zero padding: a shift changes the
phase of a spectrum, never its magnitude, so only win_length samples a frame are read and reflected at the edges.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from sqcodec.dsp import amplitude_to_db, hann_window, mel_bands, pre_emphasise, reflect_index
from sqcodec.errors import AudioError
from sqcodec.recording import Recording
from sqcodec.spectrogram import PEAK, FeatureConfig

_FRAMES_AT_ONCE = 64  # 64 x 1025 complex numbers are 0.5 MB: they stay in the cache
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


def extract(samples: Tensor, config: FeatureConfig) -> Tensor:
    """Features of a whole recording: samples [N] float32 at config.sample_rate -> [F, config.frame_count(N)].

    Raises AudioError: no samples, or samples that are not finite.
    """
    amplitude = _mel_amplitude(_emphasised(samples, 0.0, config), 0, samples.shape[-1], config)
    statistics = Statistics(samples=len(samples), peak=_peak(samples), loudest=amplitude.max().item())
    return _scale(amplitude, statistics, config)


def features_of(recording: Recording, config: FeatureConfig) -> tuple[Statistics, Iterator[Tensor]]:
    """Statistics and features [F, t] ... of a recording, together what `extract` gives.

    One of up to 5 minutes is read and analysed once: its mel amplitudes, not scaled yet, are kept meanwhile. A longer
    one is read twice, so that memory does not grow. Raises AudioError: no samples, or samples that are not finite.
    """
    statistics, kept = _first_pass(_tensors(recording, config), config, keep=_KEPT_FRAMES)
    pieces = _amplitude_blocks(_tensors(recording, config), config, _BLOCK_FRAMES) if kept is None else iter(kept)
    return statistics, (_scale(piece, statistics, config) for piece in pieces)


def _tensors(recording: Recording, config: FeatureConfig) -> Iterable[Tensor]:
    return map(torch.from_numpy, recording.blocks(config.sample_rate))


def measure(blocks: Iterable[Tensor], config: FeatureConfig) -> Statistics:
    """First pass over a recording in blocks [n]: its length, peak and loudest mel amplitude.

    Raises AudioError: no samples, or samples that are not finite.
    """
    return _first_pass(blocks, config, keep=0)[0]


def _first_pass(
    blocks: Iterable[Tensor], config: FeatureConfig, *, keep: int
) -> tuple[Statistics, list[Tensor] | None]:
    """As `measure`; and the mel amplitudes [F, t] ... where they are not more than `keep` frames, otherwise None."""
    measured, loudest = _Measured(blocks), 0.0
    kept: list[Tensor] | None = []
    for amplitude in _amplitude_blocks(measured, config, _BLOCK_FRAMES):
        loudest = max(loudest, amplitude.max().item())
        if kept is not None:
            kept.append(amplitude)
            if _BLOCK_FRAMES * len(kept) > keep:
                kept = None
    if not measured.samples:
        raise AudioError("the recording holds no samples; expected at least one")
    return Statistics(samples=measured.samples, peak=measured.peak, loudest=loudest), kept


class _Measured:
    """Blocks [n] that are measured as they pass: their samples and largest |sample| so far; empty ones are dropped."""

    def __init__(self, blocks: Iterable[Tensor]) -> None:
        self._blocks = blocks
        self.samples, self.peak = 0, 0.0

    def __iter__(self) -> Iterator[Tensor]:
        for block in self._blocks:
            if len(block):
                self.samples += len(block)
                self.peak = max(self.peak, _peak(block))
                yield block


def extract_blocks(
    blocks: Iterable[Tensor], statistics: Statistics, config: FeatureConfig, block_frames: int = _BLOCK_FRAMES
) -> Iterator[Tensor]:
    """Second pass: the features in pieces of block_frames frames (the last may be shorter), together what `extract`
    gives up to rounding. blocks: [n] each, any lengths; yields [F, t].
    """
    for amplitude in _amplitude_blocks(blocks, config, block_frames):
        yield _scale(amplitude, statistics, config)


def _amplitude_blocks(blocks: Iterable[Tensor], config: FeatureConfig, block_frames: int) -> Iterator[Tensor]:
    """Mel amplitudes [F, t] at the recording's own level, holding one block and half a window of samples on each side.

    A frame is made when all its samples are known; what lies behind the end is reflected once the end is seen.
    """
    half, hop = config.win_length // 2, config.hop_length
    held, held_from, previous, frame = torch.empty(0), 0, 0.0, 0
    for block in blocks:
        held = torch.cat([held, _emphasised(block, previous, config)])
        previous = block[-1].item()
        # The first frames reflect samples half a window ahead; short recordings wait for their end.
        ready = (held_from + len(held) - 2 * half) // hop
        while ready - frame >= block_frames:
            yield _frames_amplitude(held, held_from, None, frame, frame + block_frames, config)
            frame += block_frames
            keep_from = max(0, frame * hop - 2 * half)  # the last frames reflect samples before the end
            held, held_from = held[keep_from - held_from :], keep_from
    total = held_from + len(held)
    last = config.frame_count(total) if total else 0
    while frame < last:
        stop = min(last, frame + block_frames)
        yield _frames_amplitude(held, held_from, total, frame, stop, config)
        frame = stop


def _emphasised(samples: Tensor, previous: float, config: FeatureConfig) -> Tensor:
    return pre_emphasise(samples, previous, config.pre_emphasis) if config.pre_emphasis else samples


def _mel_amplitude(emphasised: Tensor, held_from: int, total: int, config: FeatureConfig) -> Tensor:
    if not total:
        raise AudioError("the recording holds no samples; expected at least one")
    return _frames_amplitude(emphasised, held_from, total, 0, config.frame_count(total), config)


def _frames_amplitude(
    held: Tensor, held_from: int, total: int | None, start: int, stop: int, config: FeatureConfig
) -> Tensor:
    """Mel amplitude [F, stop - start] of frames start to stop - 1; held [n] begins at sample held_from of the
    recording, which has total samples; None while its end is not known (then no frame asked for reaches it)."""
    window, half, hop = hann_window(config.win_length, held.device), config.win_length // 2, config.hop_length
    span = _reflected(held, held_from, total, start * hop - half, (stop - 1) * hop + half)
    chunks: tuple[Tensor, ...] = torch.split(span.unfold(0, config.win_length, hop), _FRAMES_AT_ONCE)
    return torch.cat([_mel(_magnitude(chunk * window, config.n_fft), config) for chunk in chunks], dim=-1)


def _reflected(held: Tensor, held_from: int, total: int | None, begin: int, end: int) -> Tensor:
    """Samples begin to end - 1 of the recording, reflected where it has none."""
    known = held_from + len(held) if total is None else total
    before, after = (
        held[reflect_index(torch.arange(*outside, device=held.device), known) - held_from]
        for outside in ((begin, max(begin, 0)), (min(end, known), end))
    )
    return torch.cat([before, held[max(begin, 0) - held_from : min(end, known) - held_from], after])


def _mel(magnitude: Tensor, config: FeatureConfig) -> Tensor:
    """Magnitudes [t, n_fft // 2 + 1] -> mel amplitude [F, t]."""
    bands = mel_bands(config, magnitude.device)
    return torch.cat([filters @ magnitude[:, first : first + filters.shape[1]].T for first, filters in bands])


def _magnitude(frames: Tensor, n_fft: int) -> Tensor:
    """|FFT| of windowed frames [t, win_length] -> [t, n_fft // 2 + 1]; quicker than the overflow-proof abs of torch."""
    spectrum = torch.fft.rfft(frames, n=n_fft)
    power: Tensor = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
    return power.sqrt_()


def _peak(samples: Tensor) -> float:
    if not len(samples):
        raise AudioError("the recording holds no samples; expected at least one")
    peak = cast(float, samples.abs().max().item())
    if not peak < float("inf"):  # NaN compares false too
        raise AudioError(
            "the recording holds samples that are not finite (NaN or infinity); repair or leave out the file"
        )
    return peak


def _scale(amplitude: Tensor, statistics: Statistics, config: FeatureConfig) -> Tensor:
    if config.dynamic_range is None:
        return amplitude.clamp_min(config.floor).log()
    gain = 1.0 / statistics.gain if statistics.peak else 1.0
    ceiling = max(config.floor, gain * statistics.loudest)
    lowest = amplitude_to_db(torch.tensor(ceiling, dtype=torch.float64)).item() - config.dynamic_range
    return amplitude_to_db((amplitude * gain).clamp_min(config.floor)).clamp_min(lowest) / config.dynamic_range + 1.0
