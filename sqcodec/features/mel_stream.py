"""Features of a recording that is still going on, frame by frame."""

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import SqcodecError
from sqcodec.features.mel import frames_amplitude, scaled
from sqcodec.spectrogram import FeatureConfig

_Array = NDArray[np.float32]


class MelStream:
    """Samples as they come, any number at a time -> the frames that are certain by then; together what `extract` gives.

    A frame is certain half a window after its centre. Raises SqcodecError: features that need statistics of the whole
    recording.
    """

    def __init__(self, config: FeatureConfig) -> None:
        if config.dynamic_range is not None or config.pre_emphasis:
            raise SqcodecError(
                f"{config.name} features need the loudest sample of the whole recording, so they cannot be streamed;"
                " use a model of log-mel features, such as speech16k"
            )
        self._config = config
        self._held, self._held_from, self._frame = np.zeros(0, np.float32), 0, 0

    @property
    def ahead(self) -> int:
        """Samples behind a frame's centre that it needs."""
        return self._config.win_length // 2

    def push(self, samples: _Array) -> _Array:
        """Samples [n] at the rate of the features -> features [F, t]."""
        half, hop = self.ahead, self._config.hop_length
        self._held = np.concatenate([self._held, samples])
        known = self._held_from + len(self._held)
        certain = (known - half) // hop + 1 if known > half else 0
        features = self._features(None, max(certain, self._frame))
        keep_from = max(0, min(self._frame * hop - half, known - 2 * half))  # the last frames reflect what came before
        self._held, self._held_from = self._held[keep_from - self._held_from :], keep_from
        return features

    def flush(self) -> _Array:
        """The frames [F, t] that reach beyond the end of the recording."""
        known = self._held_from + len(self._held)
        return self._features(known, self._config.frame_count(known) if known else 0)

    def _features(self, total: int | None, stop: int) -> _Array:
        if stop <= self._frame:
            return np.zeros((self._config.n_mels, 0), np.float32)
        amplitude = frames_amplitude(self._held, self._held_from, total, self._frame, stop, self._config)
        self._frame = stop
        return scaled(amplitude, None, self._config)
