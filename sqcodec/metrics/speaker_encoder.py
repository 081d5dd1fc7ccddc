"""Embeddings of voices by the weights that the package `resemblyzer` carries (GE2E: Wan et al., arXiv 1710.10467).

The package itself imports a voice activity detector that must be compiled; its network is three LSTM layers on 40 mel
bands, so only its weights are read: `pip install --no-deps resemblyzer` is enough. Unlike the package, silent parts are
not cut out, which treats reference and degraded signal alike.
"""

import importlib.util
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sqcodec.dsp import hann_window, mel_filters
from sqcodec.errors import MetricError
from sqcodec.metrics.signals import METRIC_RATE, Signal, validate_one
from sqcodec.spectrogram import FEATURES

PACKAGE = "resemblyzer"
_WINDOW, _HOP, _BANDS = 400, 160, 40  # samples, samples, mel bands up to 8 kHz
_FRAMES, _STEP = 160, 77  # a partial utterance of 1.6 s; 1.3 partial utterances per second
_MIN_COVERAGE = 0.75  # of the last partial utterance
_QUIETEST = 10 ** (-30 / 20)  # RMS that quieter recordings are raised to


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mel: Tensor) -> Tensor:
        """mel [B, T, 40] -> embeddings [B, 256], each of norm 1."""
        hidden = self.lstm(mel)[1][0][-1]
        embeddings: Tensor = nn.functional.normalize(self.linear(hidden).relu(), dim=1)
        return embeddings


def require() -> None:
    """Raises MetricError: the package is not installed or damaged."""
    _network()


def embed(signal: Signal) -> NDArray[np.float64]:
    """The voice in [N] at 16 kHz as [256], of norm 1: the mean over windows of 1.6 s.

    Raises MetricError: silent, below 0.25 s, or the package is not installed or damaged.
    """
    validate_one(signal, shortest=METRIC_RATE // 4)
    with torch.inference_mode():
        mean = _network()(_windows(torch.from_numpy(signal).float())).mean(0)
    embedding: NDArray[np.float64] = nn.functional.normalize(mean, dim=0).double().numpy()
    return embedding


def _windows(signal: Tensor) -> Tensor:
    """Power mel spectra [W, 160, 40] of partial utterances; zeros after the end."""
    signal = signal * max(1.0, _QUIETEST / signal.square().mean().sqrt().item())
    frames = len(signal) // _HOP + 1
    starts = list(range(0, max(1, frames - _FRAMES + _STEP + 1), _STEP))
    covered = (len(signal) / _HOP - starts[-1]) / _FRAMES
    if covered < _MIN_COVERAGE and len(starts) > 1:
        starts.pop()
    padded = nn.functional.pad(signal, (0, max(0, (starts[-1] + _FRAMES) * _HOP - len(signal))))
    mel = _mel(padded)
    return torch.stack([mel[start : start + _FRAMES] for start in starts])


def _mel(signal: Tensor) -> Tensor:
    """Power mel spectrum [T, 40], frame t centred on sample 160 t."""
    padded = nn.functional.pad(signal, (_WINDOW // 2, _WINDOW // 2))
    spectrum = torch.fft.rfft(padded.unfold(0, _WINDOW, _HOP) * hann_window(_WINDOW, signal.device))
    mel: Tensor = (spectrum.real.square() + spectrum.imag.square()) @ _filters().T
    return mel


@lru_cache(maxsize=1)
def _filters() -> Tensor:
    whole = replace(FEATURES["log-mel"], n_fft=_WINDOW, win_length=_WINDOW, n_mels=_BANDS, f_min=0.0, f_max=8000.0)
    return mel_filters(whole)


@lru_cache(maxsize=1)
def _network() -> _Network:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MetricError(f"speaker similarity needs the weights of {PACKAGE}: pip install --no-deps {PACKAGE}")
    path, network = Path(found.origin).with_name("pretrained.pt"), _Network().eval()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        network.load_state_dict({name: weights[name] for name in network.state_dict()})
    except (OSError, KeyError, RuntimeError, UnpicklingError) as error:
        raise MetricError(f"{path}: cannot be read ({type(error).__name__}); install {PACKAGE} anew") from error
    return network
