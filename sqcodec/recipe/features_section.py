"""The section `features` of a recipe: which spectrogram, and at which rates."""

from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from sqcodec.recipe.section import Count, Positive, Section
from sqcodec.spectrogram import FeatureConfig, FeatureKind, feature_config

Length = Annotated[int, Field(ge=2, multiple_of=2, strict=True)]  # samples; half of it must be whole


class FeaturesConfig(Section):
    """A kind of `sqcodec.spectrogram.FEATURES`, which is for 16 kHz, with what is to be unlike it; null: as the kind.

    Frequencies in Hz, lengths in samples. frames_per_code: of the codec, which networks of kind convnext alone choose.
    """

    kind: FeatureKind
    sample_rate: Annotated[int, Field(ge=8000, le=192_000, strict=True)] | None = None
    n_fft: Annotated[int, Field(ge=64, multiple_of=4, strict=True)] | None = None
    win_length: Length | None = None
    hop_length: Length | None = None
    n_mels: Count | None = None
    f_min: Annotated[float, Field(ge=0)] | None = None
    f_max: Positive | None = None
    frames_per_code: Annotated[int, Field(ge=1, le=16, strict=True)] | None = None

    @property
    def configuration(self) -> FeatureConfig:
        """What store, model and vocoder carry."""
        return feature_config(dict(self))

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As the section was before it could say more than the kind, where it does not."""
        return {key: value for key, value in handler(self).items() if value is not None}

    @model_validator(mode="after")
    def _lengths_and_frequencies_fit(self) -> Self:
        config = self.configuration
        if not 2 * config.hop_length <= config.win_length <= config.n_fft:
            raise ValueError(
                "win_length must be at least 2 hop_length and at most n_fft, got"
                f" {config.win_length} with hop_length {config.hop_length} and n_fft {config.n_fft}"
            )
        if not config.f_min < config.f_max <= config.sample_rate / 2:
            raise ValueError(
                "f_max must lie above f_min and be at most half the sample_rate, got"
                f" {config.f_max:g} with f_min {config.f_min:g} and sample_rate {config.sample_rate}"
            )
        return self
