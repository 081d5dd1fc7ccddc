"""Find the speaker of a recording: the one with whom its codes decode nearest to its features."""

import numpy as np
import torch

from sqcodec.engine import EncodedBlock
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.spectrogram import FeatureConfig

_PROBE = 3.0  # seconds of speech for the comparison
_SPEAKERS_PER_BATCH = 16


class Probe:
    """The part of a recording for the comparison: the window of 3 s with most energy.

    features: [F, t]; codes: [K, t / frames per code]. The energy is the mean of the (logarithmic) features.
    """

    def __init__(self, config: FeatureConfig) -> None:
        self._frames_per_code = config.frames_per_code
        self._max_frames = round(_PROBE * config.code_rate) * self._frames_per_code
        self.features, self.codes, self._energy = torch.empty(0, 0), torch.empty(0, 0), -float("inf")

    def offer_(self, block: EncodedBlock) -> None:
        """Take the best window of a block, if it has more energy than the present one."""
        features, codes = torch.from_numpy(block.features), torch.from_numpy(block.codes.astype(np.int64))
        length = min(self._max_frames, features.shape[1])
        if length < self.features.shape[1]:
            return  # the short last block of a long recording
        windows = features.mean(0).unfold(0, length, self._frames_per_code).mean(1)
        best = int(windows.argmax())
        if windows[best] > self._energy:
            start = best * self._frames_per_code
            self._energy = windows[best].item()
            self.features = features[:, start : start + length].clone()
            self.codes = codes[:, best : best + length // self._frames_per_code].clone()


def nearest_speaker(model: SpectrogramCodec, probe: Probe) -> str:
    """The speaker with the lowest mean squared error between decoded codes and features; the model has speakers."""
    device = next(model.parameters()).device
    features, codes = probe.features.to(device), probe.codes.to(device)
    errors = []
    for first in range(0, len(model.speakers), _SPEAKERS_PER_BATCH):
        speakers = torch.arange(first, min(first + _SPEAKERS_PER_BATCH, len(model.speakers)), device=device)
        decoded = model.decode(codes.expand(len(speakers), -1, -1), speakers)
        errors.append((decoded - features).square().mean((1, 2)))
    return model.speakers[int(torch.cat(errors).argmin())]
