"""The header of a vocoder file, read without torch and without the weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqcodec.errors import VocoderError
from sqcodec.spectrogram import FeatureConfig
from sqcodec.tensor_files import TensorFormat
from sqcodec.tensor_files import read_header as read_tree

# 4 has the same contrast for more stages, 3 the same iterations too; 2 no refinement with contrast, or that fades; 1
# none by stages, and no discriminators on logarithmic spectra. Files of all are read.
FORMAT = 5
KIND = TensorFormat(
    key="sqcodec-vocoder",
    newest=FORMAT,
    error=VocoderError,
    missing="no such vocoder file; 'sqcodec train RECIPE' with `stage` vocoder makes one under runs/",
    newer="got vocoder format {found}, this version of sqcodec reads up to {newest}; update sqcodec",
    expected="not a vocoder of sqcodec ({reason}); expected a vocoder.safetensors that 'sqcodec train RECIPE' with"
    " `stage` vocoder wrote",
)


@dataclass(frozen=True, kw_only=True)
class VocoderHeader:
    """The header of a vocoder file.

    config: the recipe's section `vocoder` as stored; `load_vocoder` validates it. codec: fingerprint of the codec whose
    output it was fine-tuned on; None: features of recordings.
    """

    path: Path
    kind: Literal["istft", "world"]
    config: Mapping[str, Any]
    features: FeatureConfig
    step: int
    codec: str | None


def read_header(path: Path) -> VocoderHeader:
    """The header of a vocoder file. Raises VocoderError: missing, not a vocoder of ours, or made by a later version."""
    header = read_tree(path, KIND)
    try:
        config = header["vocoder"]
        if config["kind"] not in ("istft", "world"):
            raise TypeError(f"{config['kind']} has no weights")
        return VocoderHeader(
            path=path,
            kind=config["kind"],
            config=config,
            features=FeatureConfig(**header["features"]),
            step=int(header["step"]),
            codec=header["codec"],
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise KIND.refusal(path, error) from None


class Refining(NamedTuple):
    """How one recording is refined. contrast: the part of the vocoder's that the target has; fading: whether
    corrections fade."""

    iterations: int
    contrast: float
    fading: bool


def refining_of(refinement: Mapping[str, Any], stages: float | None) -> Refining:
    """How sound of codes of so many codebooks on average is refined by this section of a header; stages None: of the
    features of a recording, which lack no contrast. Raises LookupError, TypeError or ValueError: damaged."""
    iterations = int(refinement["iterations"])
    if stages is None:
        return Refining(iterations, 0.0, False)
    more = refinement.get("more")
    if more and stages >= float(more["stages"]):
        return Refining(int(more["iterations"]), float(more.get("contrast", 1.0)), True)
    return Refining(iterations if stages >= float(refinement.get("stages", 0.0)) else 0, 1.0, True)


def header_for(path: Path, features: FeatureConfig) -> VocoderHeader:
    """The header of a vocoder that is used on `features`.

    Raises VocoderError as `read_header`, or when the vocoder is for other features.
    """
    header = read_header(path)
    if header.features != features:
        raise VocoderError(
            f"{path}: a vocoder for {header.features.kind} features ({_difference(header.features, features)}), got"
            f" {features.kind}; choose a vocoder for {features.kind}, or griffin-lim, which takes every kind"
        )
    return header


def _difference(own: FeatureConfig, other: FeatureConfig) -> str:
    """`n_fft 1024 where 2048 is given, ...`: what differs in two feature configurations besides their names."""
    one, two = asdict(own), asdict(other)
    return ", ".join(
        f"{key} {one[key]} where {two[key]} is given" for key in one if key != "kind" and one[key] != two[key]
    )
