"""A recording, or its decoded sound, that says how far the work on it is."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sqcodec.corpus.audio import AudioSource

ShowProgress = Callable[[str, int, int], None]  # kind of work, seconds done, seconds in all
_Block = NDArray[np.float32]


class WatchedRecording:
    """A recording that reports each pass over it; a long one is read twice. device: what encodes it, for the report."""

    def __init__(self, audio: AudioSource, device: str, progress: ShowProgress) -> None:
        self._audio, self._device, self._progress, self._passes = audio, device, progress, 0

    @property
    def rate(self) -> int:
        """Its own sample rate, Hz."""
        return self._audio.rate

    @property
    def input_samples(self) -> int:
        """Samples at its own rate."""
        return self._audio.input_samples

    def blocks(self, rate: int) -> Iterable[_Block]:
        """As `Recording.blocks`; each block is reported when it is taken."""
        self._passes += 1
        what = f"seconds {'read' if self._passes == 1 else 'encoded'} on {self._device}"
        known = self._audio.known_samples
        return watched(self._audio.blocks(rate), rate, 0 if known is None else known / self.rate, what, self._progress)


def watched(blocks: Iterable[_Block], rate: int, seconds: float, what: str, progress: ShowProgress) -> Iterator[_Block]:
    """The blocks [n] at `rate` (Hz), of `seconds` in all; reported in whole seconds."""
    samples, total = 0, round(seconds)
    progress(what, 0, total)
    for block in blocks:
        yield block
        samples += len(block)
        progress(what, min(total, samples // rate) if total else samples // rate, total)
