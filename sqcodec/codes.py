"""The codes of a recording, as encoder, bitstream and decoder exchange them."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqcodec.spectrogram import FeatureConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """What the encoder makes of a recording and the decoder needs.

    indices: [K, T] uint16, one row a codebook; `samples` counts those at `sample_rate` (the input's rate);
    `gain` is what the decoder multiplies its peak-normalised output by (0 for digital silence);
    `fingerprint` names what gives the indices a meaning, None when it is not known (a bare array).
    """

    indices: NDArray[np.uint16]
    samples: int
    sample_rate: int
    gain: float
    speaker: str | None
    fingerprint: str | None

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.sample_rate

    def samples_at(self, rate: int) -> int:
        """Samples of the recording at another rate (Hz): ceil(samples x rate / sample_rate)."""
        return -(-self.samples * rate // self.sample_rate)


def fingerprint(features: FeatureConfig, codebook: NDArray[np.float32], *, codebooks: int) -> str:
    """16 hexadecimal digits of SHA-256 over what decoding depends on: features, layout of the codes, codewords.

    codebook: as the model stores it, [V, D] or [K, V, D]; codebooks: K.
    """
    layout = {"features": features.as_dict(), "frames_per_code": features.frames_per_code, "codebooks": codebooks}
    digest = hashlib.sha256(json.dumps([layout, codebook.shape], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(codebook, dtype="<f4").tobytes())
    return digest.hexdigest()[:16]
