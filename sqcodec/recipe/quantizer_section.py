"""The section `quantizer` of a recipe."""

from typing import Annotated, Literal

from pydantic import Field

from sqcodec.recipe.section import Count, Fraction, Positive, Section

Codewords = Annotated[int, Field(ge=2, le=65536, strict=True)]


class GaussianConfig(Section):
    """Gaussian stochastic quantisation (SQ-VAE, Table 1): one variance for all (I), one a frame (III), one a frame
    and dimension (IV)."""

    kind: Literal["gaussian"]
    variance: Literal["fixed", "I", "II", "III", "IV"]
    codewords: Codewords
    dim: Count
    initial_variance: Positive


class VmfConfig(Section):
    """Von Mises-Fisher stochastic quantisation: directions instead of places."""

    kind: Literal["vmf"]
    codewords: Codewords
    dim: Count
    initial_concentration: Annotated[float, Field(gt=1, allow_inf_nan=False)]


class VqConfig(Section):
    """VQ-VAE, straight-through, codebook and commitment loss. `weighting`: how the loss weighs reconstruction."""

    kind: Literal["vq"]
    codewords: Codewords
    dim: Count
    commitment: Positive
    weighting: Literal["sums", "means"]
    initialisation: Literal["uniform", "data"]


class VqEmaConfig(Section):
    """VQ-VAE with a codebook of moving averages; `reset_below` above 0 puts dead codewords on latents again."""

    kind: Literal["vq-ema"]
    codewords: Codewords
    dim: Count
    commitment: Positive
    decay: Annotated[float, Field(gt=0, lt=1)]
    epsilon: Positive
    reset_below: Fraction
    weighting: Literal["sums", "means"]
    initialisation: Literal["uniform", "data"]


class ResidualConfig(Section):
    """Residual stochastic quantisation: `stages` codebooks, each for what the former left, its variance and that of its
    codewords at first `ratio` times the former's; `dropout`: the share of a batch trained with a random number of
    stages, so that any prefix of them decodes; `warmup`: steps without quantisation, after which the codebooks begin
    where the latents are; `settled`: the step after which encoder and codebooks stay, and the decoder alone goes on, on
    the codewords of use in place of samples; null: never."""

    kind: Literal["residual"]
    stages: Annotated[int, Field(ge=1, le=32, strict=True)]
    codewords: Codewords
    dim: Count
    initial_variance: Positive
    ratio: Annotated[float, Field(gt=0, le=1)]
    dropout: Annotated[float, Field(ge=0, le=1)]
    warmup: Annotated[int, Field(ge=0, strict=True)]
    settled: Annotated[int, Field(ge=1, strict=True)] | None


class VaeConfig(Section):
    """No quantiser: a plain VAE with the same networks, for comparison. It has no codes."""

    kind: Literal["none"]
    dim: Count

    @property
    def codewords(self) -> int:
        """None."""
        return 0


QuantizerConfig = GaussianConfig | VmfConfig | VqConfig | VqEmaConfig | ResidualConfig | VaeConfig
