"""Codes to sound with an open engine and vocoder, several recordings at once where these gain by that."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.codes import Codes
from sqcodec.engine import Chosen, Engine
from sqcodec.vocoder.interface import Rendering, Vocoder

_Samples = NDArray[np.float32]
_SILENCE = 1 << 18  # samples of a block


class Said(NamedTuple):
    """Codes, and the model's index of the speaker who is to say them."""

    codes: Codes
    speaker_index: int


def synthesise(several: Sequence[Said], engine: Engine, vocoder: Vocoder) -> Iterator[Iterator[_Samples]]:
    """The sound [n] ... of each, at the vocoder's rate and the stored level, which must be taken before the next."""
    rate = vocoder.features.sample_rate
    sounding = [each for each in several if each.codes.gain]
    features = engine.decode_each(Chosen(codes.used, index) for codes, index in sounding)
    made = vocoder.render_each(
        Rendering(pieces, codes.samples_at(rate), codes.number / codes.indices.shape[1])
        for pieces, (codes, _) in zip(features, sounding, strict=True)
    )
    for codes, _ in several:
        yield _amplified(next(made), codes.gain) if codes.gain else _silence(codes.samples_at(rate))


def _amplified(blocks: Iterator[_Samples], gain: float) -> Iterator[_Samples]:
    return (sound * np.float32(gain) for sound in blocks)


def _silence(samples: int) -> Iterator[_Samples]:
    """Digital silence stays silence."""
    return (np.zeros(min(_SILENCE, samples - start), np.float32) for start in range(0, samples, _SILENCE))
