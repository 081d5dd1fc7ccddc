"""The section `quantizer` of a recipe: one class per kind."""

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from sqcodec.recipe.section import Count, Fraction, Positive, Section

Codewords = Annotated[int, Field(ge=2, le=65536, strict=True)]
Variance = Literal["fixed", "I", "II", "III", "IV"]
Weighting = Literal["sums", "means"]
Initialisation = Literal["uniform", "data"]

FORMER_KEYS = {"warmup": "warmup_steps", "settled": "freeze_step"}  # of a residual quantiser, up to release 0.1.0


class QuantizerSection(Section):
    """Base of the quantisers' sections; each also has `codewords` and `dim`. The properties give what most share."""

    @property
    def codebooks(self) -> int:
        """K, each of `codewords` codewords."""
        return 1

    @property
    def weighs_means(self) -> bool:
        """Whether the loss weighs squared errors averaged over all values, not likelihoods summed over them."""
        return False

    @property
    def needs_masks(self) -> bool:
        """Whether it needs an encoder that keeps padding out."""
        return False

    @property
    def has_unused_parameters(self) -> bool:
        """Whether some training steps leave parameters without gradient."""
        return False

    @property
    def has_posterior(self) -> bool:
        """Whether a training can weigh the rate of its codes."""
        return False


class GaussianConfig(QuantizerSection):
    """Gaussian stochastic quantisation (SQ-VAE, Table 1): one variance for all (I), one per frame (III), one per frame
    and dimension (IV)."""

    kind: Literal["gaussian"] = "gaussian"
    variance: Variance
    codewords: Codewords
    dim: Count
    initial_variance: Positive

    @property
    def needs_masks(self) -> bool:
        """II averages over an utterance."""
        return self.variance == "II"


class VmfConfig(QuantizerSection):
    """Von Mises-Fisher stochastic quantisation: directions on a sphere."""

    kind: Literal["vmf"] = "vmf"
    codewords: Codewords
    dim: Count
    initial_concentration: Annotated[float, Field(gt=1, allow_inf_nan=False)]


class VqConfig(QuantizerSection):
    """VQ-VAE, straight-through, codebook and commitment loss. `weighting`: how the loss weighs reconstruction."""

    kind: Literal["vq"] = "vq"
    codewords: Codewords
    dim: Count
    commitment: Positive
    weighting: Weighting
    initialisation: Initialisation

    @property
    def weighs_means(self) -> bool:
        """As `weighting` says."""
        return self.weighting == "means"


class VqEmaConfig(QuantizerSection):
    """VQ-VAE with a codebook of moving averages; `reset_below` above 0 moves unused codewords to latents.

    initial_count: of each codeword before the first step; the code of the usual baselines has 0.
    """

    kind: Literal["vq-ema"] = "vq-ema"
    codewords: Codewords
    dim: Count
    commitment: Positive
    decay: Annotated[float, Field(gt=0, lt=1)]
    epsilon: Positive
    reset_below: Fraction
    initial_count: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0  # that of models without the key
    weighting: Weighting
    initialisation: Initialisation

    @property
    def weighs_means(self) -> bool:
        """As `weighting` says."""
        return self.weighting == "means"


class ResidualConfig(QuantizerSection):
    """Residual stochastic quantisation: `stages` codebooks, each for what the former left, its variance and that of its
    codewords at first `ratio` times the former's; `dropout`: the fraction of a batch trained with a random number of
    stages, so that any prefix of them decodes.

    warmup_steps: steps without quantisation, after which the codebooks begin where the latents are. freeze_step: from
    the step after it only the decoder trains, on the codes that inference would choose; null: never.
    """

    kind: Literal["residual"] = "residual"
    stages: Annotated[int, Field(ge=1, le=32, strict=True)]
    codewords: Codewords
    dim: Count
    initial_variance: Positive
    ratio: Annotated[float, Field(gt=0, le=1)]
    dropout: Annotated[float, Field(ge=0, le=1)]
    warmup_steps: Annotated[int, Field(ge=0, strict=True)]
    freeze_step: Annotated[int, Field(ge=1, strict=True)] | None

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, section: Any) -> Any:
        return current_keys(section)

    @property
    def codebooks(self) -> int:
        """One per stage."""
        return self.stages

    @property
    def has_unused_parameters(self) -> bool:
        """The warm-up does not use the codebooks, frozen steps do not train the encoder."""
        return True

    @property
    def has_posterior(self) -> bool:
        """Of each stage, given the stages before."""
        return True


class FsqConfig(QuantizerSection):
    """Finite scalar quantisation: dimension j of a latent is rounded to one of `levels[j]` values. No parameters."""

    kind: Literal["fsq"] = "fsq"
    levels: Annotated[tuple[Annotated[int, Field(ge=2, strict=True)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _codes_fit(self) -> "FsqConfig":
        if self.codewords > 65536:
            raise ValueError(f"levels must multiply to at most 65536 codewords, got {self.codewords}")
        return self

    @property
    def codewords(self) -> int:
        """Every combination of levels."""
        return math.prod(self.levels)

    @property
    def dim(self) -> int:
        """One dimension per number of levels."""
        return len(self.levels)


class VaeConfig(QuantizerSection):
    """No quantiser: a plain VAE with the same networks, for comparison. It has no codes."""

    kind: Literal["none"] = "none"
    dim: Count

    @property
    def codebooks(self) -> int:
        """0: a VAE has none."""
        return 0

    @property
    def codewords(self) -> int:
        """0: a VAE has no codebook."""
        return 0


QuantizerConfig = GaussianConfig | VmfConfig | VqConfig | VqEmaConfig | ResidualConfig | FsqConfig | VaeConfig


def section_of(kind: str) -> type[QuantizerSection]:
    """The class of a section by its `kind`."""
    sections: tuple[type[QuantizerSection], ...] = get_args(QuantizerConfig)
    return next(each for each in sections if each.model_fields["kind"].default == kind)


def current_keys(section: Any) -> Any:
    """A section `quantizer` with the keys of former releases under today's names, and those that they had not; anything
    else as it is.

    A key that stands there under both names stays, and validation refuses the former one.
    """
    if isinstance(section, dict) and section.get("kind") == "vq-ema":
        return {"initial_count": VqEmaConfig.model_fields["initial_count"].default, **section}
    if not isinstance(section, dict) or section.get("kind") != "residual":
        return section
    section = dict(section)
    for former, name in FORMER_KEYS.items():
        if former in section and name not in section:
            section[name] = section.pop(former)
    return section
