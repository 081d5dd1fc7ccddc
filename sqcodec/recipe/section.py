"""What every section of a recipe is: frozen, without defaults, without unknown keys; and the numbers in them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, strict=True)]
Layers = Annotated[int, Field(ge=1, le=1000, strict=True)]  # a hostile file must not make millions of modules
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def _rising(level: tuple[float, float]) -> tuple[float, float]:
    if not level[0] <= level[1] <= 0:
        raise ValueError(f"must rise and stay at 0 dB or below, got {list(level)}")
    return level


Level = Annotated[tuple[float, float], AfterValidator(_rising)]  # dB of full scale
Precision = Literal["32-true", "bf16-mixed"]


class Section(BaseModel):
    """Base of the sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)
