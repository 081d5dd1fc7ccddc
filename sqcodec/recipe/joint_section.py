"""The section `joint` of a recipe: decoder and vocoder trained together on the codec's codes."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from sqcodec.recipe.section import Section


class HeardConfig(Section):
    """The losses see the sound as users hear it, after the vocoder's refinement, and what a listener would mind joins
    them (`sqcodec.train.vocoder.perceptual`).

    balance: norm of the perceptual gradient at the sound over that of the spectral losses. disturbance: weight of
    differences in loudness, as P.862 counts them; envelopes: of envelopes that are not alike, as ESTOI counts them.
    """

    balance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    disturbance: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    envelopes: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LiveConfig(Section):
    """What another training changes, for a receiver that looks less far ahead: values of the section `joint`.

    decoder_lookahead: at most that of `joint`. vocoder: changes of the section `vocoder` as `joint.vocoder` leaves it.
    heard: as in `joint`, None by itself: packets are not refined.
    """

    decoder_lookahead: Annotated[int, Field(ge=0, strict=True)]
    vocoder: dict[str, Any]
    heard: HeardConfig | None = None


class JointConfig(Section):
    """What the training of decoder and vocoder together adds to that of the vocoder on the codec's output.

    decoder_lookahead: codes that the decoder sees ahead, at most `network.decoder_lookahead`. mel: weight of the mean
    |difference| between decoded and recorded features (natural logarithms for log-mel) beside the losses of the sound.
    vocoder: changes of the section `vocoder` as `vocoder.on_codec` leaves it; its steps are those of this training.
    heard: None: the losses see the vocoder's sound before its refinement. live: of a training that goes on from this
    one; None: there is none.
    """

    decoder_lookahead: Annotated[int, Field(ge=0, strict=True)]
    mel: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    vocoder: dict[str, Any]
    heard: HeardConfig | None = None
    live: LiveConfig | None = None

    @model_validator(mode="after")
    def _changes_are_of_this_training(self) -> Self:
        for name, part in (("joint", self), ("joint.live", self.live)):
            if part is not None and "on_codec" in part.vocoder:
                raise ValueError(
                    f"{name}.vocoder.on_codec: has no effect, expected its values in {name}.vocoder, or in"
                    " vocoder.on_codec for the training before"
                )
        return self

    @model_validator(mode="after")
    def _live_adds_no_lookahead(self) -> Self:
        if self.live is None:
            return self
        frames, most = self.live.vocoder.get("lookahead"), self.vocoder.get("lookahead")
        more = isinstance(frames, int) and isinstance(most, int) and frames > most  # other types are refused later
        if more or self.live.decoder_lookahead > self.decoder_lookahead:
            raise ValueError(
                "joint.live goes on from joint and cannot add look-ahead; expected decoder_lookahead up to"
                f" {self.decoder_lookahead} and vocoder.lookahead up to {most}, got {self.live.decoder_lookahead} and"
                f" {frames}"
            )
        return self
