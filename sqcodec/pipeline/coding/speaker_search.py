"""Whose voice a recording has, when nobody says: the speaker with whom its codes decode nearest to it."""

import torch
from torch import Tensor

from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.spectrogram import FeatureConfig

_PROBE = 3.0  # seconds, on which the speakers are compared
_SPEAKERS_AT_ONCE = 16


class Probe:
    """The part on which voices are compared: of all windows of 3 s that were offered, the one with most energy.

    features: [F, t]; codes: [K, t / frames per code]. Energy is the mean of the features, which are logarithmic.
    """

    def __init__(self, config: FeatureConfig) -> None:
        self._per_code = config.frames_per_code
        self._longest = round(_PROBE * config.code_rate) * self._per_code
        self.features, self.codes, self._energy = torch.empty(0, 0), torch.empty(0, 0), -float("inf")

    def offer_(self, features: Tensor, codes: Tensor) -> None:
        """Take the best window of features [F, t] and their codes, if it beats the one held."""
        length = min(self._longest, features.shape[1])
        if length < self.features.shape[1]:
            return  # the short rest of a long recording
        windows = features.mean(0).unfold(0, length, self._per_code).mean(1)
        best = int(windows.argmax())
        if windows[best] > self._energy:
            start = best * self._per_code
            self._energy = windows[best].item()
            self.features = features[:, start : start + length].clone()
            self.codes = codes[:, best : best + length // self._per_code].clone()


def nearest_speaker(model: SpectrogramCodec, probe: Probe) -> str | None:
    """The speaker with whom the probe's codes decode nearest to its features (mean squared error); None: unlabelled."""
    if not model.speakers:
        return None
    device = next(model.parameters()).device
    features, codes = probe.features.to(device), probe.codes.to(device)
    errors = []
    for first in range(0, len(model.speakers), _SPEAKERS_AT_ONCE):
        speakers = torch.arange(first, min(first + _SPEAKERS_AT_ONCE, len(model.speakers)), device=device)
        decoded = model.decode(codes.expand(len(speakers), -1, -1), speakers)
        errors.append((decoded - features).square().mean((1, 2)))
    return model.speakers[int(torch.cat(errors).argmin())]
