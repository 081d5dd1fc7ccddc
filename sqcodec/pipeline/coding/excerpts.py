"""A part of a recording, decoded from its own codes and those of some seconds around it: the samples of the whole."""

import math
from typing import NamedTuple

from sqcodec.errors import CodesError
from sqcodec.spectrogram import FeatureConfig

_MARGIN = 5  # seconds: the paper's decoder hears 4 on each side, and a vocoder less than one


class Excerpt(NamedTuple):
    """A part of a recording: it begins at `offset` and is `duration` long, or goes to the end (None), in seconds."""

    offset: float = 0.0
    duration: float | None = None

    def extent(self, rate: int, *, begins: int, samples: int) -> tuple[int, int]:
        """Its first sample at `rate` (Hz) and their number, of `samples` from `begins` (s) on."""
        start = min(round(self.offset * rate) - begins * rate, samples - 1)
        number = samples - start
        return start, number if self.duration is None else min(number, max(1, round(self.duration * rate)))


WHOLE = Excerpt()


class Window(NamedTuple):
    """The codes `first` to `stop` of each codebook: `samples` of the recording, at its rate, from `begins` on, s."""

    first: int
    stop: int
    samples: int
    begins: int


def window(excerpt: Excerpt, samples: int, sample_rate: int, features: FeatureConfig, *, where: str) -> Window:
    """What an excerpt of a recording of `samples` at `sample_rate` (Hz) needs. Raises CodesError: no part of it."""
    offset, duration = excerpt
    if not (math.isfinite(offset) and offset >= 0):
        raise CodesError(f"`offset` {offset:g}: expected seconds, 0 or more")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise CodesError(f"`duration` {duration:g}: expected seconds, more than 0")
    if offset * sample_rate >= samples:
        seconds = samples / sample_rate
        raise CodesError(f"{where}: `offset` {offset:g}: expected less than {seconds:.2f} s, the recording's length")
    # a window begins and ends with a code, a sample and a second: what follows counts them from there
    step = features.samples_per_code // math.gcd(features.sample_rate, features.samples_per_code)  # seconds
    begins = max(0, math.floor((offset - _MARGIN) / step) * step)
    length = samples - begins * sample_rate
    if duration is not None:
        steps = math.ceil((offset + duration + _MARGIN - begins) / step)
        length = min(length, steps * step * sample_rate)
    first = begins * features.sample_rate // features.samples_per_code
    return Window(first, first + features.code_count(length, sample_rate), length, begins)
