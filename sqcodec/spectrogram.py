"""What the stages exchange. Stages import these, never each other.

Letters, used everywhere: B batch, N samples, T frames, D latent dimension, F mel bands, K codebooks, V codewords a
book.
"""

from dataclasses import dataclass
from typing import Literal

SAMPLE_RATE = 16000  # Hz, of everything inside: every recording is resampled to it once, on reading
HOP_LENGTH = 160  # samples between frames: 100 frames/s
PEAK = 0.999  # amplitude that peak normalisation maps the loudest sample to

FeatureKind = Literal["paper-mel", "log-mel"]


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """How a spectrogram is computed; recorded in model and vocoder files, so that unlike ones never meet.

    Frequencies in Hz, lengths in samples at `SAMPLE_RATE`; `floor` is the smallest mel amplitude that is kept
    apart; values more than `dynamic_range` dB below the utterance's maximum are cut (None: no utterance statistics).
    """

    kind: FeatureKind
    n_fft: int
    win_length: int
    hop_length: int
    n_mels: int
    f_min: float
    f_max: float
    floor: float
    pre_emphasis: float
    dynamic_range: float | None


FEATURES: dict[FeatureKind, FeatureConfig] = {
    "paper-mel": FeatureConfig(
        kind="paper-mel", n_fft=2048, win_length=400, hop_length=HOP_LENGTH, n_mels=80, f_min=50.0, f_max=8000.0,
        floor=1e-5, pre_emphasis=0.97, dynamic_range=80.0,
    ),
    "log-mel": FeatureConfig(
        kind="log-mel", n_fft=1024, win_length=640, hop_length=HOP_LENGTH, n_mels=80, f_min=0.0, f_max=8000.0,
        floor=1e-5, pre_emphasis=0.0, dynamic_range=None,
    ),
}  # fmt: skip


def frame_count(samples: int) -> int:
    """Frames of an N-sample recording: ceil((N + 80) / 160), frame t centred on sample 160 t."""
    return -(-(samples + HOP_LENGTH // 2) // HOP_LENGTH)
