"""Griffin-Lim phase retrieval with momentum (Perraudin et al., WASPAA 2013): needs no training.

Long recordings are rendered in segments that are cut at the quietest frame near every 10 s, each with half a second of
context on both sides, and joined by a cross-fade of 10 ms.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from threading import Lock
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.arrays import mel_amplitude
from sqcodec.dsp import hann_window
from sqcodec.mel_scale import filters_over, shortest_fft
from sqcodec.recipe import GriffinLimConfig
from sqcodec.spectrogram import FeatureConfig
from sqcodec.vocoder.interface import Vocoder

_SEGMENT = 1000  # frames between cuts, give or take _SEARCH
_SEARCH = 200
_CONTEXT = 50  # frames rendered beyond each cut and thrown away
_SEED = 0  # of the first phases: equal features give equal sound
_SEEDING = Lock()  # the random numbers that torchaudio draws are those of the process

_Samples = NDArray[np.float32]


class GriffinLim(Vocoder):
    """Griffin-Lim for one kind of features. Features of utterance-normalised kinds give sound normalised so."""

    kind: Literal["griffin-lim"] = "griffin-lim"

    def __init__(self, features: FeatureConfig, settings: GriffinLimConfig) -> None:
        self.features, self.settings = features, settings

    def synthesise(self, features: Tensor) -> Tensor:
        """features [B, F, T] -> sound [B, hop T - hop / 2], frame t on sample hop t."""
        hop = self.features.hop_length
        length = hop * features.shape[2] - hop // 2
        return torch.stack(
            [
                torch.from_numpy(np.concatenate(list(self.render([one.numpy(force=True)], length))))
                for one in features.unbind()
            ]
        )

    def render(self, pieces: Iterable[_Samples], samples: int, *, stages: float | None = None) -> Iterator[_Samples]:
        """Features [F, t] piece after piece -> sound [n], together `samples` long; how they come changes nothing.

        Beyond the last frame it is repeated. stages: as of `Vocoder`; it changes nothing here.
        """
        del stages
        from scipy.signal import lfilter  # slow to import, and encoding does without it

        state, written = np.zeros(1), 0
        segments = _segments(map(torch.as_tensor, pieces), _shortest(self.features))
        for piece in _joined(segments, self.features, self.settings.iterations, self.settings.momentum):
            emphasised = piece[: samples - written]
            if len(emphasised):  # the inverse of pre-emphasis; with a coefficient of 0 it changes nothing
                sound, state = lfilter([1.0], [1.0, -self.features.pre_emphasis], emphasised, zi=state)
                written += len(sound)
                yield sound.astype(np.float32)
        if written < samples:
            yield np.zeros(samples - written, np.float32)


class _Segment(NamedTuple):
    features: Tensor  # [F, t] with context
    start: int  # frame at which the segment begins; the context lies before
    stop: int | None  # frame at which it ends, None for the last


def _shortest(config: FeatureConfig) -> int:
    """Frames that a segment must have: the FFT's reflected padding needs more samples than half its length."""
    return max(8, 2 + shortest_fft(config) // (2 * config.hop_length))


def _segments(features: Iterable[Tensor], shortest: int) -> Iterator[_Segment]:
    held, start = torch.empty(0), 0
    for block in features:
        held = torch.cat([held.to(block), block], dim=1) if held.numel() else block
        while held.shape[1] >= start + _SEGMENT + _SEARCH + _CONTEXT:
            first = start + _SEGMENT - _SEARCH
            cut = first + int(held[:, first : first + 2 * _SEARCH].mean(0).argmin())
            yield _Segment(held[:, : cut + _CONTEXT], start, cut)
            held, start = held[:, cut - _CONTEXT :], _CONTEXT
    if held.numel():
        missing = max(1, shortest - held.shape[1])  # one more: the last frame makes half a hop after its centre
        yield _Segment(torch.cat([held, held[:, -1:].expand(-1, missing)], dim=1), start, None)


def _joined(
    segments: Iterable[_Segment], config: FeatureConfig, iterations: int, momentum: float
) -> Iterator[_Samples]:
    """Sound of the segments one after the other, cross-faded from half a hop before each cut to half a hop after."""
    hop, half = config.hop_length, config.hop_length // 2
    rising = ((np.arange(hop) + 0.5) / hop).astype(np.float32)
    tail: _Samples | None = None
    for segment in segments:
        sound = _phases_retrieved(linear_magnitude(segment.features, config), config, iterations, momentum)
        begin = segment.start * hop
        if tail is not None:
            yield tail * rising[::-1] + sound[begin - half : begin + half] * rising
            begin += half
        if segment.stop is None:
            yield sound[begin:]
        else:
            cut = segment.stop * hop
            yield sound[begin : cut - half]
            tail = sound[cut - half : cut + half]


def linear_magnitude(features: Tensor, config: FeatureConfig) -> Tensor:
    """Features [F, T] -> magnitudes [bins, T] of the shortest FFT that holds the window, negative ones cut to 0."""
    mel = mel_amplitude(features, config.dynamic_range)
    return (_mel_inverse(config).to(mel) @ mel).clamp_min(0.0)


@lru_cache(maxsize=8)
def _mel_inverse(config: FeatureConfig) -> Tensor:
    """Pseudo-inverse [bins, F] of the mel filters over the shortest FFT, whose magnitudes are interpolated linearly."""
    inverse: Tensor = torch.linalg.pinv(torch.from_numpy(filters_over(config, shortest_fft(config))))
    return inverse.float()


@torch.inference_mode()
def _phases_retrieved(magnitude: Tensor, config: FeatureConfig, iterations: int, momentum: float) -> _Samples:
    """Magnitudes [bins, T] -> sound [(T - 1) hop] whose spectrum comes near them."""
    from torchaudio.functional import griffinlim  # here only: nothing else of sqcodec needs torchaudio

    with _SEEDING, torch.random.fork_rng(devices=[magnitude.device] if magnitude.is_cuda else []):
        torch.manual_seed(_SEED)
        sound = griffinlim(
            magnitude,
            window=hann_window(config.win_length, magnitude.device),
            n_fft=shortest_fft(config),
            hop_length=config.hop_length,
            win_length=config.win_length,
            power=1.0,
            n_iter=iterations,
            momentum=momentum,
            length=(magnitude.shape[1] - 1) * config.hop_length,
            rand_init=True,
        )
    array: _Samples = sound.cpu().numpy()
    return array
