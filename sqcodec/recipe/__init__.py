"""A recipe: one YAML file, validated to one frozen object. No other place holds a default.

Sections that few need are in their own modules (`quantizer_section`, `target_section`).
"""

# ruff: noqa: I001 - "A as A" is how a package lists a name that it gives, once; sorting would split these lists
from sqcodec.recipe.context_section import ContextConfig as ContextConfig
from sqcodec.recipe.document import (
    CodecRecipe as CodecRecipe,
    FolderConfig as FolderConfig,
    Recipe as Recipe,
    VctkConfig as VctkConfig,
    VocoderRecipe as VocoderRecipe,
    ZeroSpeech2019Config as ZeroSpeech2019Config,
)
from sqcodec.recipe.network_section import ConvNextConfig as ConvNextConfig, PaperNetworkConfig as PaperNetworkConfig
from sqcodec.recipe.prior_section import PriorConfig as PriorConfig
from sqcodec.recipe.reading import (
    available_recipes as available_recipes,
    find_recipe as find_recipe,
    load_recipe as load_recipe,
    recipe_folders as recipe_folders,
    validate_recipe as validate_recipe,
)
from sqcodec.recipe.section import Precision as Precision
from sqcodec.recipe.vocoder_section import (
    DiscriminatorConfig as DiscriminatorConfig,
    GriffinLimConfig as GriffinLimConfig,
    IstftConfig as IstftConfig,
    RefinementConfig as RefinementConfig,
    TrainedVocoderConfig as TrainedVocoderConfig,
    VocoderConfig as VocoderConfig,
    VocoderTrainConfig as VocoderTrainConfig,
    WorldConfig as WorldConfig,
)
