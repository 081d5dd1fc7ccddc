"""The section `joint` of a recipe: decoder and vocoder trained together on the codec's codes."""

from typing import Annotated, Any

from pydantic import Field

from sqcodec.recipe.section import Section


class JointConfig(Section):
    """What the training of decoder and vocoder together adds to that of the vocoder on the codec's output.

    decoder_lookahead: codes that the decoder sees ahead, at most `network.decoder_lookahead`. mel: weight of the mean
    |difference| between decoded and recorded features (natural logarithms for log-mel) beside the losses of the sound.
    vocoder: changes of the section `vocoder` as `vocoder.on_codec` leaves it; its steps are those of this training.
    """

    decoder_lookahead: Annotated[int, Field(ge=0, strict=True)]
    mel: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    vocoder: dict[str, Any]
