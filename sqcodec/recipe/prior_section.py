"""The section `prior` of a recipe."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sqcodec.recipe.section import Count, Layers, Positive, Section


class PriorConfig(Section):
    """A causal Transformer over codes. context: length in codes per codebook; batch: windows per step."""

    layers: Layers
    dim: Count
    heads: Count
    context: Annotated[int, Field(ge=2, strict=True)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    steps: Count
    batch: Count
    learning_rate: Positive
    warmup: Count
    weight_decay: Annotated[float, Field(ge=0)]
    evaluate_every: Count
    seed: Annotated[int, Field(ge=0, strict=True)]

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"prior.dim must be a multiple of prior.heads, got {self.dim} and {self.heads}")
        return self
