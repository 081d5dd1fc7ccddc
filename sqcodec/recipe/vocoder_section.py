"""The section `vocoder` of a recipe: Griffin-Lim, WORLD or ISTFT, and how the last two are trained."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sqcodec.recipe.section import Count, Layers, Level, Positive, Precision, Section

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[int, Field(ge=0, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Changes = dict[str, Any] | None  # by section, as in `vocoder`; the recipe reader validates the result


class GriffinLimConfig(Section):
    """Griffin-Lim phase retrieval: needs no training."""

    kind: Literal["griffin-lim"]
    iterations: Count
    momentum: Momentum


class VocoderTrainConfig(Section):
    """Optimiser and bookkeeping of a vocoder's training; every number is in steps unless its name says otherwise.

    betas: of AdamW. cooldown: part of the steps, the last, in which learning rates fall in a line towards 0 (Hägele et
    al., arXiv 2405.18392). averaging: decay of the moving average of the weights, which is what the vocoder file holds.
    level: range of the recording's peak, dB of full scale, drawn uniformly (features that carry a level). smoothing:
    fraction of crops whose features are blurred as by a codec.
    evaluate_files: number of recordings of evaluate_split to score and log as audio.
    """

    steps: Count
    batch: Count
    frames: Count
    learning_rate: Positive
    betas: tuple[Momentum, Momentum]
    clip: Positive
    averaging: Momentum
    level: Level
    smoothing: Probability
    precision: Precision
    seed: Seed
    log_every: Count
    save_every: Count
    evaluate_every: Count
    evaluate_split: str
    evaluate_files: Count
    cooldown: Probability = 0.0


class WorldConfig(Section):
    """A regression network and the WORLD vocoder (pyworld).

    envelope: coefficients of the coded spectral envelope. minutes: of the training split, evenly chosen, that WORLD
    analyses for the targets (harvest, its pitch tracker, takes long). on_codec: as of `IstftConfig`.
    """

    kind: Literal["world"]
    dim: Count
    hidden: Count
    layers: Layers
    lookahead: Annotated[int, Field(ge=0, strict=True)]
    envelope: Annotated[int, Field(ge=8, le=80, strict=True)]
    minutes: Positive
    train: VocoderTrainConfig
    on_codec: Changes = None

    @model_validator(mode="after")
    def _lookahead_fits(self) -> Self:
        _check_lookahead(self)
        return self


class LossConfig(Section):
    """Weights of the generator's losses; `resolutions` are the FFT lengths of the two spectral ones."""

    resolutions: Annotated[tuple[Annotated[int, Field(ge=64, multiple_of=4, strict=True)], ...], Field(min_length=1)]
    mel: Weight
    stft: Weight
    adversarial: Weight
    matching: Weight


class FamilyConfig(Section):
    """One family of discriminators: a member for each period, or each FFT length, with these channels layer by layer.

    weight: of its two losses among the generator's. A family without members does not take part.
    """

    members: tuple[Annotated[int, Field(ge=2, strict=True)], ...]
    channels: Annotated[tuple[Count, ...], Field(min_length=2)]
    weight: Weight


FAMILIES = ("periods", "resolutions", "log_spectra")


class DiscriminatorConfig(Section):
    """The families. They join after `start` steps (null: never) and look at `frames` frames of each crop.

    log_spectra: a family on normalised log magnitudes, with both sounds at one level; it learns fast enough for a CPU.
    warmup: steps that the discriminators learn before the generator hears them. margins: frames at the beginning and
    the end of a crop that they do not see, since the vocoder lacks its context there. balance: norm of the adversarial
    gradient at the sound over that of the spectral losses (null: the weights of the losses alone decide).
    generator_learning_rate: of the generator once it hears them (null: as before).
    """

    start: NonNegative | None
    frames: Count
    learning_rate: Positive
    periods: FamilyConfig
    resolutions: FamilyConfig
    log_spectra: FamilyConfig | None = None
    warmup: NonNegative = 0
    margins: tuple[NonNegative, NonNegative] = (0, 0)
    balance: Positive | None = None
    generator_learning_rate: Positive | None = None

    @property
    def families(self) -> dict[str, FamilyConfig]:
        """Those with members, by name."""
        families: dict[str, FamilyConfig | None] = {name: getattr(self, name) for name in FAMILIES}
        return {name: family for name, family in families.items() if family and family.members}


class MoreRefinementConfig(Section):
    """Iterations for codes of so many codebooks on average, or more. contrast: the part of the vocoder's that their
    target has, since a decoder smooths less away with more codebooks."""

    stages: Positive
    iterations: Count
    contrast: Annotated[float, Field(ge=0, le=1)] = 1.0


class RefinementConfig(Section):
    """Griffin-Lim iterations at inference (not in training) that fit the audio to its input spectrogram.

    stages: the least mean number of codebooks a code at which codes are refined: a coarse spectrogram is smooth, and
    sound that is fitted to it becomes less natural (docs/results/vocoders.md). 0: always. Features of recordings always
    are refined. fades: of codes, frequencies in Hz up to which an error is corrected in full, and from which on not at
    all; null: none, as of recordings. more: for codes of more codebooks, whose spectrogram is worth more iterations
    and needs less contrast; null: as the others.
    """

    iterations: Annotated[int, Field(ge=0, strict=True)]
    momentum: Momentum
    stages: Annotated[float, Field(ge=0)] = 0.0
    fades: tuple[Positive, Positive] | None = None
    more: MoreRefinementConfig | None = None

    @model_validator(mode="after")
    def _fades_upwards(self) -> Self:
        if self.fades is not None and not self.fades[0] < self.fades[1]:
            raise ValueError(f"fades must rise, got {list(self.fades)}")
        return self

    @model_validator(mode="after")
    def _more_above_stages(self) -> Self:
        if self.more is not None and not self.stages < self.more.stages:
            raise ValueError(f"more.stages must be above stages, {self.stages:g}, got {self.more.stages:g}")
        return self


class IstftConfig(Section):
    """ConvNeXt trunk and inverse-STFT head. lookahead: frames (10 ms) that the trunk sees ahead, at most 3 per layer.

    on_codec: the values that change when training continues on features decoded by a codec.
    """

    kind: Literal["istft"]
    dim: Count
    hidden: Count
    layers: Layers
    lookahead: Annotated[int, Field(ge=0, strict=True)]
    refinement: RefinementConfig
    train: VocoderTrainConfig
    losses: LossConfig
    discriminators: DiscriminatorConfig
    on_codec: Changes = None

    @model_validator(mode="after")
    def _lookahead_fits(self) -> Self:
        _check_lookahead(self)
        return self

    def check_crops(self, hop_length: int) -> None:
        """Raise ValueError where crops are too short for the windows that losses and discriminators look through."""
        longest, discriminators = max(self.losses.resolutions), self.discriminators
        if hop_length * self.train.frames < longest:
            raise ValueError(f"vocoder.train.frames must cover {longest} samples, the longest of losses.resolutions")
        if discriminators.start is not None and not discriminators.families:
            raise ValueError("vocoder.discriminators.start is set, but none of its families has members")
        windows = (*discriminators.resolutions.members, *(getattr(discriminators.log_spectra, "members", ())), 1)
        most = self.train.frames - sum(discriminators.margins)
        if not -(-max(windows) // hop_length) <= discriminators.frames <= most:
            raise ValueError(
                "vocoder.discriminators.frames must cover its longest resolution and be at most vocoder.train.frames"
                " without discriminators.margins"
            )


TrainedVocoderConfig = WorldConfig | IstftConfig


def _check_lookahead(config: TrainedVocoderConfig) -> None:
    """Raise ValueError where the layers do not see as far ahead."""
    most = 3 * (config.layers + 1)
    if config.lookahead > most:
        raise ValueError(f"lookahead must be at most {most} frames with {config.layers} layers, got {config.lookahead}")


VocoderConfig = Annotated[GriffinLimConfig | WorldConfig | IstftConfig, Field(discriminator="kind")]
