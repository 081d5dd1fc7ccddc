"""What the stages exchange. Stages import these, never each other.

Letters, used everywhere: B batch, N samples, T frames, D latent dimension, F mel bands, K codebooks, V codewords a
book.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

PEAK = 0.999  # amplitude that peak normalisation maps the loudest sample to

_MAX = 1 << 20  # of any number of a configuration; sample rates are the largest

FeatureKind = Literal["paper-mel", "log-mel"]


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """How a spectrogram is computed; recorded in model and vocoder files, so that unlike ones never meet.

    Frequencies in Hz, lengths in samples at `sample_rate`; `floor` is the smallest mel amplitude that is kept apart;
    values more than `dynamic_range` dB below the utterance's maximum are cut (None: no utterance statistics). A codec
    makes one code of `frames_per_code` frames.
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
    sample_rate: int = 16000
    frames_per_code: int = 2

    def __post_init__(self) -> None:
        """Raise ValueError: what a file says cannot be features."""
        for name in ("n_fft", "win_length", "hop_length", "n_mels", "sample_rate", "frames_per_code"):
            if type(value := getattr(self, name)) is not int or not 1 <= value <= _MAX:
                raise ValueError(f"{name} {value!r}, expected 1 to {_MAX}")
        for name in ("f_min", "f_max", "floor", "pre_emphasis"):
            if type(value := getattr(self, name)) not in (int, float) or not 0 <= value <= _MAX:
                raise ValueError(f"{name} {value!r}, expected 0 to {_MAX}")
        if self.dynamic_range is not None and not 0 < self.dynamic_range <= _MAX:
            raise ValueError(f"dynamic_range {self.dynamic_range!r}, expected more than 0")

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def code_rate(self) -> float:
        """Codes per second of one codebook."""
        return self.sample_rate / self.samples_per_code

    @property
    def samples_per_code(self) -> int:
        """Samples from the first frame of one code to that of the next."""
        return self.hop_length * self.frames_per_code

    @property
    def decibels_per_unit(self) -> float:
        """dB that one feature unit stands for: the dynamic range, or 20 / ln 10 for natural logarithms."""
        return self.dynamic_range or 20 / math.log(10)

    @property
    def name(self) -> str:
        """The kind, and what is unlike the kind at 16 kHz: `log-mel (sample_rate 24000, hop_length 240)`."""
        usual = asdict(FEATURES[self.kind])
        unlike = ", ".join(f"{key} {value}" for key, value in asdict(self).items() if value != usual[key])
        return f"{self.kind} ({unlike})" if unlike else self.kind

    def frame_count(self, samples: int) -> int:
        """Frames of a recording of `samples`: ceil((samples + hop / 2) / hop), frame t centred on sample hop t."""
        return -(-(samples + self.hop_length // 2) // self.hop_length)

    def code_count(self, samples: int, rate: int) -> int:
        """Codes per codebook of a recording of `samples` at `rate` (Hz); the last may be of fewer frames."""
        return -(-self.frame_count(-(-samples * self.sample_rate // rate)) // self.frames_per_code)

    def as_dict(self) -> dict[str, Any]:
        """What files keep and fingerprints hash: a sample rate of 16 kHz and 2 frames per code are left out, so that
        files from before they could be chosen keep their bytes and names."""
        usual = {"sample_rate": FeatureConfig.sample_rate, "frames_per_code": FeatureConfig.frames_per_code}
        return {key: value for key, value in asdict(self).items() if key not in usual or value != usual[key]}


FEATURES: dict[FeatureKind, FeatureConfig] = {
    "paper-mel": FeatureConfig(
        kind="paper-mel", n_fft=2048, win_length=400, hop_length=160, n_mels=80, f_min=50.0, f_max=8000.0,
        floor=1e-5, pre_emphasis=0.97, dynamic_range=80.0,
    ),
    "log-mel": FeatureConfig(
        kind="log-mel", n_fft=1024, win_length=640, hop_length=160, n_mels=80, f_min=0.0, f_max=8000.0,
        floor=1e-5, pre_emphasis=0.0, dynamic_range=None,
    ),
}  # fmt: skip


def feature_config(section: Mapping[str, Any]) -> FeatureConfig:
    """The configuration that the section `features` of a recipe describes: its kind at 16 kHz, and the values that are
    given (null: as the kind has it)."""
    return replace(FEATURES[section["kind"]], **{key: value for key, value in section.items() if value is not None})
