"""The section `context` of a recipe."""

from typing import Annotated

from pydantic import Field

from sqcodec.recipe.section import Count, Positive, Precision, Section


class ContextConfig(Section):
    """The context model of codes files. hidden, width: units of the recurrent network, and of each stage's layer;
    frames, batch: codes of a window, windows of a step."""

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
