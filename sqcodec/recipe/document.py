"""The whole recipe: its sections, and what must fit between them. `reading` finds and reads one."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from sqcodec.errors import RecipeError
from sqcodec.recipe.context_section import ContextConfig
from sqcodec.recipe.features_section import FeaturesConfig
from sqcodec.recipe.joint_section import JointConfig
from sqcodec.recipe.network_section import ConvNextConfig, NetworkConfig
from sqcodec.recipe.overrides import merged
from sqcodec.recipe.prior_section import PriorConfig
from sqcodec.recipe.quantizer_section import QuantizerConfig
from sqcodec.recipe.section import Count, Fraction, Level, Positive, Precision, Section
from sqcodec.recipe.target_section import TargetConfig
from sqcodec.recipe.variations_section import VariationsConfig
from sqcodec.recipe.vocoder_section import IstftConfig, TrainedVocoderConfig, VocoderConfig

Splits = dict[str, str]


class VctkConfig(Section):
    """VCTK, release 0.92 or 0.80. `splits` maps each split to a text file beside the recipe."""

    kind: Literal["vctk"]
    microphone: Annotated[int, Field(ge=1, le=2, strict=True)]
    splits: Splits


class ZeroSpeech2019Config(Section):
    """ZeroSpeech 2019: the English or the surprise language."""

    kind: Literal["zerospeech2019"]
    language: Literal["english", "surprise"]
    splits: Splits


class FolderConfig(Section):
    """Anybody's recordings, `<speaker>/<utterance>.<ext>` or a list; `test_fraction` of each speaker is held out.

    variations: copies of training recordings that are added; null: none.
    """

    kind: Literal["folder"]
    test_fraction: Fraction
    variations: VariationsConfig | None = None

    @model_serializer(mode="wrap")
    def _without_null(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Releases that know no variations read models of recipes that have none."""
        values: dict[str, Any] = handler(self)
        return values if self.variations else {key: value for key, value in values.items() if key != "variations"}


CorpusConfig = Annotated[VctkConfig | ZeroSpeech2019Config | FolderConfig, Field(discriminator="kind")]


class TrainConfig(Section):
    """Optimiser, schedule and bookkeeping of one training; every number is in steps unless its name says otherwise.

    level: range of the recording's peak, dB of full scale, drawn uniformly for each crop (features that carry a level);
    null leaves recordings as they are. rate: weight of the codes' rate by the recipe's context model, which is trained
    along (docs/rate.md); null: neither.
    """

    steps: Count
    batch: Count
    frames: Annotated[int, Field(ge=2, strict=True)]
    learning_rate: Positive
    milestones: tuple[Annotated[int, Field(ge=0, strict=True)], ...]
    milestone_factor: Annotated[float, Field(gt=0, le=1)]
    clip: Positive
    temperature_rate: Annotated[float, Field(ge=0)]
    level: Level | None
    rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    precision: Precision
    seed: Annotated[int, Field(ge=0, strict=True)]
    log_every: Count
    save_every: Count
    evaluate_every: Count
    evaluate_split: str


class _Common(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    corpus: CorpusConfig
    features: FeaturesConfig


class CodecRecipe(_Common):
    """A recipe that makes a codec, and its vocoder if there is one."""

    quantizer: Annotated[QuantizerConfig, Field(discriminator="kind")]
    target: Annotated[TargetConfig, Field(discriminator="kind")]
    network: Annotated[NetworkConfig, Field(discriminator="kind")]
    train: TrainConfig
    vocoder: VocoderConfig | None = None  # without the section the best that there is for these features decodes
    prior: PriorConfig | None = None  # a recipe without the section has no prior
    context: ContextConfig | None = None  # a recipe without the section has no context model
    joint: JointConfig | None = None  # a recipe without the section does not train decoder and vocoder together
    contrast: Annotated[float, Field(ge=0, le=1)] | None = (
        None  # part of what the decoder smooths that comes back, in the first layer and in the refinement's target
    )
    bit_rate: Positive | None = None  # bit/s, nominal: the default of `encode`; without it, all codebooks

    @property
    def codec(self) -> "CodecRecipe":
        """Itself: it has a codec."""
        return self

    @property
    def evaluate_split(self) -> str:
        """The split that the feature store must have besides `train`."""
        return self.train.evaluate_split

    @property
    def joint_vocoder(self) -> IstftConfig:
        """The section `vocoder` as `joint.vocoder` changes it. Raises RecipeError: not to be trained with a decoder."""
        joint, network, vocoder = self.joint, self.network, self.vocoder
        if joint is None:
            raise RecipeError(f"recipe {self.name} has no section 'joint'; recipe speech16k shows one")
        if not (isinstance(network, ConvNextConfig) and isinstance(vocoder, IstftConfig) and self.target.kind == "mel"):
            raise RecipeError(
                f"recipe {self.name}: decoder and vocoder can be trained together with network.kind convnext,"
                f" target.kind mel and vocoder.kind istft; got {network.kind}, {self.target.kind} and"
                f" {vocoder and vocoder.kind}"
            )
        changed = IstftConfig.model_validate(merged(vocoder.model_dump(), joint.vocoder))
        if changed.lookahead > vocoder.lookahead or joint.decoder_lookahead > network.decoder_lookahead:
            raise RecipeError(
                f"recipe {self.name}: a training together cannot add look-ahead; expected joint.vocoder.lookahead up to"
                f" {vocoder.lookahead} and joint.decoder_lookahead up to {network.decoder_lookahead}, got"
                f" {changed.lookahead} and {joint.decoder_lookahead}"
            )
        return changed

    @property
    def live(self) -> "CodecRecipe":
        """The recipe whose section `joint` is that of the receiver that looks less far ahead, as `joint.live` says.

        Raises RecipeError: it has none.
        """
        joint = self.joint
        if joint is None or joint.live is None:
            raise RecipeError(f"recipe {self.name} has no section 'joint.live'; recipe speech16k shows one")
        vocoder = merged(joint.vocoder, joint.live.vocoder)
        ahead, heard = joint.live.decoder_lookahead, joint.live.heard
        changed = {"decoder_lookahead": ahead, "vocoder": vocoder, "heard": heard, "live": None}
        return self.model_copy(update={"joint": joint.model_copy(update=changed)})

    @model_validator(mode="after")
    def _means_need_values(self) -> Self:
        if self.quantizer.weighs_means and self.target.kind != "mel":
            raise ValueError(
                "quantizer.weighting: means weighs squared errors, expected sums with target.kind mel-classes"
            )
        return self

    @model_validator(mode="after")
    def _levels_need_levels(self) -> Self:
        if self.train.level is not None and self.features.kind == "paper-mel":
            raise ValueError("train.level: paper-mel features carry no level, expected null, or features.kind log-mel")
        return self

    @model_validator(mode="after")
    def _rates_need_a_context_model(self) -> Self:
        if self.train.rate is not None and (self.context is None or not self.quantizer.has_posterior):
            raise ValueError("train.rate needs a section context, and quantizer.kind residual")
        return self

    @model_validator(mode="after")
    def _one_variance_an_utterance_needs_masks(self) -> Self:
        if self.quantizer.needs_masks and not self.network.keeps_padding_out:
            raise ValueError("quantizer.variance II needs network.kind paper, whose encoder keeps padding out")
        return self

    @model_validator(mode="after")
    def _crops_hold_whole_codes(self) -> Self:
        per_code = self.features.configuration.frames_per_code
        if self.train.frames % per_code:
            raise ValueError(f"train.frames must be a multiple of {per_code}, the frames per code")
        if per_code != 2 and self.network.kind == "paper":
            raise ValueError(f"features.frames_per_code: network.kind paper makes codes of 2 frames, got {per_code}")
        return self

    @model_validator(mode="after")
    def _vocoder_crops_hold_the_windows(self) -> Self:
        if isinstance(self.vocoder, IstftConfig):
            self.vocoder.check_crops(self.features.configuration.hop_length)
        return self

    @model_validator(mode="after")
    def _milestones_rise(self) -> Self:
        if list(self.train.milestones) != sorted(self.train.milestones):
            raise ValueError(f"train.milestones must rise, got {list(self.train.milestones)}")
        return self


class VocoderRecipe(_Common):
    """A recipe that makes a vocoder for speech as it is, and no codec."""

    vocoder: Annotated[TrainedVocoderConfig, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _vocoder_crops_hold_the_windows(self) -> Self:
        if isinstance(self.vocoder, IstftConfig):
            self.vocoder.check_crops(self.features.configuration.hop_length)
        return self

    @property
    def codec(self) -> CodecRecipe:
        """Raises RecipeError: it has none."""
        raise RecipeError(
            f"recipe {self.name} has no codec (sections {', '.join(CODEC_SECTIONS)}), only a vocoder: train that"
            " (stage vocoder), or choose a recipe with a codec, such as speech16k"
        )

    @property
    def evaluate_split(self) -> str:
        """The split that the feature store must have besides `train`."""
        return self.vocoder.train.evaluate_split


Recipe = CodecRecipe | VocoderRecipe
CODEC_SECTIONS = ("quantizer", "target", "network", "train")  # a codec has all of them
CODEC_KEYS = {*CODEC_SECTIONS, "prior", "context", "joint", "contrast", "bit_rate"}
