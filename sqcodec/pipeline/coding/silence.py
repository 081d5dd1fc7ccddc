"""Silence in a stream: where there is nothing but noise, its level is enough."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream import packets
from sqcodec.pipeline.coding.concealment import NEPERS
from sqcodec.spectrogram import FeatureConfig

_ABOVE = 6.0  # decibels above the noise at which sound is no silence
_LOUDEST = 50.0  # decibels above the floor: what is louder is no noise
_HEARD = 10, 250  # packets whose least level is the noise: at first, and at most (10 s)
_HANGOVER = 5  # quiet packets that are still sent: comfort noise is made of them
_EVERY = 10  # packets from one level to the next: 400 ms


class SilenceDetector:
    """The level of each packet, and whether it is silence: for some packets no louder than the noise, which is the
    least level of the last 10 s."""

    def __init__(self, config: FeatureConfig) -> None:
        self._floor, self._per_packet = math.log(config.floor), packets.CODES * config.frames_per_code
        self._levels: deque[float] = deque()  # decibels above the floor, of frames that no packet has yet
        self._means: deque[float] = deque(maxlen=_HEARD[1])
        self._quiet = 0

    def add(self, frames: NDArray[np.float32]) -> None:
        """The next frames [t, F] of log-mel features."""
        self._levels.extend(((frames.mean(axis=1) - self._floor) / NEPERS).tolist())

    def packet(self) -> bytes | None:
        """What the next packet is in silence; None: it is none."""
        count = min(self._per_packet, len(self._levels))
        levels = [self._levels.popleft() for _ in range(count)] or [0.0]
        mean = sum(levels) / len(levels)
        self._means.append(mean)
        is_quiet = len(self._means) > _HEARD[0] and max(levels) < min(_LOUDEST, min(self._means) + _ABOVE)
        self._quiet = self._quiet + 1 if is_quiet else 0
        if self._quiet <= _HANGOVER:
            return None
        if (self._quiet - _HANGOVER) % _EVERY != 1:
            return b""
        return bytes([min(255, max(0, round(mean / packets.LEVEL_STEP)))])
