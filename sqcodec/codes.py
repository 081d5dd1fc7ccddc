"""The codes of a recording, as encoder, bitstream and decoder exchange them."""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sqcodec.spectrogram import FeatureConfig

LOUDEST = 1e12  # gain, far above that of the loudest recording that is read


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """What the encoder makes of a recording and the decoder needs.

    indices: [K, T] uint16, one row a codebook; `samples` counts those at `sample_rate` (the input's rate);
    `gain` is what the decoder multiplies its peak-normalised output by (0 for digital silence);
    `fingerprint` names what gives the indices a meaning, None when it is not known (a bare array). stages: [T] uint8,
    how many of the K codebooks each code uses, 1 to K (the indices of the others are 0); None: all of them.
    """

    indices: NDArray[np.uint16]
    samples: int
    sample_rate: int
    gain: float
    speaker: str | None
    fingerprint: str | None
    stages: NDArray[np.uint8] | None = None

    @property
    def used(self) -> NDArray[np.int64]:
        """The indices [K, T], with -1 where a code uses fewer codebooks."""
        indices = self.indices.astype(np.int64)
        return indices if self.stages is None else np.where(self._within, indices, -1)

    @property
    def number(self) -> int:
        """Codes over all codebooks."""
        return self.indices.size if self.stages is None else int(self.stages.sum())

    @property
    def stages_fit(self) -> bool:
        """Whether `stages`, if any, are 1 to K for each code, and the indices beyond them 0."""
        if self.stages is None:
            return True
        books, length = self.indices.shape
        within = self.stages.shape == (length,) and 1 <= self.stages.min() <= self.stages.max() <= books
        return within and not self.indices[~self._within].any()

    @property
    def gain_fits(self) -> bool:
        """Whether the gain is that of a recording."""
        return 0 <= self.gain <= LOUDEST

    @property
    def _within(self) -> NDArray[np.bool_]:
        assert self.stages is not None
        within: NDArray[np.bool_] = np.arange(len(self.indices))[:, None] < self.stages
        return within

    def between(self, first: int, stop: int, samples: int) -> "Codes":
        """The codes `first` to `stop` of each codebook, which hold `samples` of the recording."""
        stages = None if self.stages is None else self.stages[first:stop]
        return replace(self, indices=self.indices[:, first:stop], samples=samples, stages=stages)

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
