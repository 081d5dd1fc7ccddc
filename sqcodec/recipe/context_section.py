"""The section `context` of a recipe."""

from typing import Annotated

from pydantic import Field

from sqcodec.recipe.section import Count, Positive, Precision, Section


class SearchedConfig(Section):
    """How the context model goes on with the codes that a search finds which counts its bits.

    part: of the windows, the others are as before. share: of these weights in the mean with those before, so that whole
    codebooks take hardly more bits than they did.
    """

    steps: Count
    learning_rate: Positive
    part: Annotated[float, Field(ge=0, le=1)]
    share: Annotated[float, Field(ge=0, le=1)] = 1.0


class ContextConfig(Section):
    """The context model of codes files. hidden, width: units of the recurrent network, and of each stage's layer;
    frames, batch: codes of a window, windows of a step. searched: of several codebooks alone; None: not at all."""

    hidden: Annotated[int, Field(ge=1, le=960, strict=True)]
    width: Annotated[int, Field(ge=1, le=960, strict=True)]
    frames: Annotated[int, Field(ge=2, strict=True)]
    batch: Count
    steps: Count
    learning_rate: Positive
    warmup: Count
    weight_decay: Annotated[float, Field(ge=0)]
    precision: Precision
    evaluate_every: Count
    seed: Annotated[int, Field(ge=0, strict=True)]
    searched: SearchedConfig | None = None

    @property
    def on_searched(self) -> "ContextConfig":
        """The training that goes on with searched codes."""
        assert self.searched is not None
        return self.model_copy(update={"steps": self.searched.steps, "learning_rate": self.searched.learning_rate})
