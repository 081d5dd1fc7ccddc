"""`corpus.variations`: copies of training recordings that a recipe adds to its feature store."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sqcodec.recipe.section import Section

Share = Annotated[float, Field(ge=0, le=1)]


class VariationsConfig(Section):
    """Shares of the training recordings that are in the store once more, changed; each recording once more at most.

    lowered, raised: pitch and formants by 10 to 30 %, as on a slower or faster tape; telephone: nothing above 4 kHz;
    noisy: with a recording from the folder `noise`, 5 to 25 dB below, half of them in a room first where `rooms` is a
    folder of impulse responses. null: no such folder.
    """

    lowered: Share
    raised: Share
    telephone: Share
    noisy: Share
    noise: str | None
    rooms: str | None

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if (total := sum(self.shares.values())) > 1:
            raise ValueError(f"the shares of variations must be 1 or less together, got {total:g}")
        if self.noisy and self.noise is None:
            raise ValueError(f"variations.noise must be a folder of recordings where noisy is {self.noisy:g}, got null")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """By kind."""
        return {"lowered": self.lowered, "raised": self.raised, "telephone": self.telephone, "noisy": self.noisy}
