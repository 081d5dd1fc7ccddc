"""The whole recipe and how it is found, read, overridden and validated."""

import difflib
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from sqcodec.errors import RecipeError
from sqcodec.recipe.context_section import ContextConfig
from sqcodec.recipe.features_section import FeaturesConfig
from sqcodec.recipe.joint_section import JointConfig
from sqcodec.recipe.network_section import ConvNextConfig, NetworkConfig
from sqcodec.recipe.overrides import changed_on_codec, merged, override_, resumed_on_codec
from sqcodec.recipe.plain_yaml import parse
from sqcodec.recipe.prior_section import PriorConfig
from sqcodec.recipe.quantizer_section import QuantizerConfig
from sqcodec.recipe.section import Count, Fraction, Level, Positive, Precision, Section
from sqcodec.recipe.target_section import TargetConfig
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
    """Anybody's recordings, `<speaker>/<utterance>.<ext>` or a list; `test_fraction` of each speaker is held out."""

    kind: Literal["folder"]
    test_fraction: Fraction


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
_CODEC_KEYS = {*CODEC_SECTIONS, "prior", "context", "joint", "bit_rate"}


def recipe_folders() -> list[Path]:
    """Where recipes that come with sqcodec lie: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return [folder for folder in (package / "recipes", package.parent / "recipes") if folder.is_dir()]


def available_recipes() -> dict[str, Path]:
    """Name -> folder of each recipe that comes with sqcodec."""
    return {
        path.parent.name: path.parent for folder in recipe_folders() for path in sorted(folder.glob("*/recipe.yaml"))
    }


def find_recipe(name: str) -> Path:
    """The `recipe.yaml` of a folder, a file, or a recipe that comes with sqcodec (`vctk` or `recipes/vctk`).

    Raises RecipeError: nothing of that name; the text lists what there is.
    """
    path = Path(name)
    shipped = available_recipes().get(path.name if path.parent in (Path(), Path("recipes")) else "")
    # A folder given with its path comes before a shipped recipe of the same name; a bare word means the shipped one.
    local = [path / "recipe.yaml", path] if path.parent != Path() or path.suffix in (".yaml", ".yml") else []
    for candidate in [*local, shipped / "recipe.yaml" if shipped else path / "recipe.yaml"]:
        if candidate.is_file():
            return candidate
    raise RecipeError(
        f"recipe {name!r}: no such folder or file, and no recipe of that name comes with sqcodec;"
        f" there are: {', '.join(available_recipes()) or 'none'}. 'sqcodec recipe list' describes them"
    )


def load_recipe(name: str, overrides: tuple[str, ...] = (), *, on_codec: bool = False) -> Recipe:
    """Read, override (`key.path=value`, the value in YAML) and validate a recipe.

    on_codec: with what the recipe's `vocoder.on_codec` changes; overrides come before it.
    Raises RecipeError: not found, not YAML, or any number of keys that are unknown, missing or mistyped, all named.
    """
    path = find_recipe(name)
    try:
        tree = parse(path.read_text(encoding="utf-8"))
    except (RecipeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path}: not a YAML file: {error}") from error
    if not isinstance(tree, dict):
        raise RecipeError(f"{path}: got {type(tree).__name__}, expected a mapping of sections (name, corpus, ...)")
    overrides = resumed_on_codec(tree, overrides) if on_codec else overrides
    for override in overrides:
        override_(tree, override)
    where = f"{path}{' with' if overrides else ''}" + "".join(f" `overrides` {override}" for override in overrides)
    recipe = validate_recipe(tree, where=where)
    tuned, changed = recipe, tree
    if recipe.vocoder is not None and recipe.vocoder.kind != "griffin-lim" and recipe.vocoder.on_codec is not None:
        changed = changed_on_codec(tree, overrides)
        tuned = validate_recipe(changed, where=f"{where}, as vocoder.on_codec changes it")
    if isinstance(recipe, CodecRecipe) and recipe.joint and isinstance(recipe.vocoder, IstftConfig):
        joint = {**changed, "vocoder": merged(changed["vocoder"], recipe.joint.vocoder)}
        validate_recipe(joint, where=f"{where}, as joint.vocoder changes it")
    return tuned if on_codec else recipe


def validate_recipe(tree: Any, *, where: str) -> Recipe:
    """A tree of plain values -> Recipe. Raises RecipeError naming every wrong key at once, 50 at most."""
    codec = isinstance(tree, dict) and not _CODEC_KEYS.isdisjoint(tree)
    try:
        return (CodecRecipe if codec else VocoderRecipe).model_validate(tree)
    except ValidationError as error:
        items = error.errors(include_url=False)
        missing = [_parts(item) for item in items if item["type"] == "missing"]
        lines = [_explain(item, tree, missing) for item in items[:_LISTED]]
        more = [f"and {len(items) - _LISTED} more"] if len(items) > _LISTED else []
        raise RecipeError("\n  ".join([f"{where}: {len(items)} error(s)", *lines, *more])) from None


_LISTED = 50  # errors of one recipe
_SHORT = Repr()  # of a value in an error
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong, _SHORT.maxlevel = 80, 80, 40, 3


def _parts(item: Any) -> list[str]:
    """The key of an error. pydantic puts the tag of a union into it: corpus.vctk.microphone -> corpus.microphone."""
    parts = [str(part) for part in item["loc"]]
    if (
        len(parts) > 1
        and parts[0] in ("corpus", "quantizer", "target", "network", "vocoder")
        and item["type"] != "union_tag_invalid"
    ):
        del parts[1]
    return parts


def _explain(item: Any, tree: Any, missing: list[list[str]]) -> str:
    """A line on an error. missing: keys that the recipe lacks."""
    parts = _parts(item)
    key = ".".join(parts) or "recipe"
    match item["type"]:
        case "missing" if key in CODEC_SECTIONS:
            return f"{key}: missing; a codec has the sections {', '.join(CODEC_SECTIONS)}: add it, or have none of them"
        case "missing" if key == "vocoder":
            return f"{key}: missing; a recipe has a vocoder, a codec ({', '.join(CODEC_SECTIONS)}), or both"
        case "missing":
            return f"{key}: missing"
        case "extra_forbidden":
            return f"{key}: unknown key (got {_SHORT.repr(item['input'])}); {_advice(parts, tree, missing)}"
        case _:
            got = f", got {_SHORT.repr(item['input'])}" if not isinstance(item["input"], dict) else ""
            return f"{key}: {item['msg'].removeprefix('Value error, ')}{got}"


def _advice(parts: list[str], tree: Any, missing: list[list[str]]) -> str:
    """What may have been meant by an unknown key: another one of its section, or one that is missing there."""
    *sections, key = parts
    for section in sections:
        tree = tree.get(section) if isinstance(tree, dict) else None
    beside = [str(name) for name in tree if name != key] if isinstance(tree, dict) else []
    known = {*beside, *(lost[-1] for lost in missing if lost[:-1] == sections)}
    near = difflib.get_close_matches(key, sorted(known), n=1)
    return f"did you mean {'.'.join([*sections, near[0]])}?" if near else "remove it"
