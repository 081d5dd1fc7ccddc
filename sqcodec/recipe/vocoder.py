"""The section `vocoder` of a recipe."""

from typing import Annotated, Literal

from pydantic import Field

from sqcodec.recipe.section import Count, Section


class GriffinLimConfig(Section):
    """Griffin-Lim phase retrieval: needs no training."""

    kind: Literal["griffin-lim"]
    iterations: Count
    momentum: Annotated[float, Field(ge=0, lt=1)]
