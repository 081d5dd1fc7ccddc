"""The interface of vocoders: features to sound of exact length, without delay."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sqcodec.spectrogram import FeatureConfig

VocoderPrecision = Literal["float32", "bfloat16"]  # of a network's products


class Rendering(NamedTuple):
    """What `Vocoder.render` takes, of one recording."""

    pieces: Iterable[NDArray[np.float32]]
    samples: int
    stages: float | None = None


class Vocoder(Protocol):
    """Frame t makes samples hop (t - 1/2) to hop (t + 1/2) - 1; what lies before the first sample is dropped.

    features: the configuration of its input. Sound is at the level that the features have: peak-normalised for those
    with utterance statistics.
    """

    features: FeatureConfig

    @property
    def kind(self) -> str:
        """`griffin-lim`, `world` or `istft`."""

    def render(
        self, pieces: Iterable[NDArray[np.float32]], samples: int, *, stages: float | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Features [F, t] piece after piece -> sound [n], together `samples` long; memory does not grow with it.

        stages: how many codebooks a code of the features has on average; None: they are those of a recording.
        """

    def render_each(self, several: Iterable[Rendering]) -> Iterator[Iterator[NDArray[np.float32]]]:
        """As `render`, of each of several, where it pays in batches; the sound of one is taken before the next."""
        for pieces, samples, stages in several:
            yield self.render(pieces, samples, stages=stages)
