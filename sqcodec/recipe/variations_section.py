"""`corpus.variations`: copies of training recordings that a recipe adds to its feature store."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sqcodec.recipe.section import Section

Share = Annotated[float, Field(ge=0, le=1)]
Folder = Annotated[str, Field(min_length=1)]
_ROUNDING = 1e-9  # of a sum of shares


class VariationsConfig(Section):
    """Shares of the training recordings that are in the store once more, changed; each recording once more at most. A
    share that is left out is 0.

    lowered, raised: pitch, formants and tempo by 10 to 30 %, as on a slower or faster tape; telephone: nothing above
    4 kHz; noisy: with a recording from the folder `noise`, 5 to 25 dB below, half of them in a room first where `rooms`
    is a folder of impulse responses. Folders are relative to the working folder; null: none.
    """

    lowered: Share = 0.0
    raised: Share = 0.0
    telephone: Share = 0.0
    noisy: Share = 0.0
    noise: Folder | None = None
    rooms: Folder | None = None

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if (total := sum(self.shares.values())) > 1 + _ROUNDING:
            raise ValueError(f"the shares must be 1 or less together, got {total:g}")
        if self.noisy and self.noise is None:
            raise ValueError(f"noisy is {self.noisy:g} without a folder of noises; set noise, or noisy to 0")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """By kind."""
        return {"lowered": self.lowered, "raised": self.raised, "telephone": self.telephone, "noisy": self.noisy}
