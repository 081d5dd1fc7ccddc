"""A recipe: one YAML file, validated to one frozen object. No other place holds a default.

Sections that few need are in their own modules (`quantizer_section`, `target_section`).
"""

from sqcodec.recipe.document import (
    FolderConfig,
    Recipe,
    VctkConfig,
    ZeroSpeech2019Config,
    available_recipes,
    find_recipe,
    load_recipe,
    recipe_folders,
    validate_recipe,
)
from sqcodec.recipe.network_section import ConvNextConfig, NetworkConfig, PaperNetworkConfig
from sqcodec.recipe.prior_section import PriorConfig
from sqcodec.recipe.section import Precision
from sqcodec.recipe.vocoder_section import (
    DiscriminatorConfig,
    GriffinLimConfig,
    IstftConfig,
    RefinementConfig,
    TrainedVocoderConfig,
    VocoderConfig,
    VocoderTrainConfig,
    WorldConfig,
)

__all__ = [
    "ConvNextConfig",
    "DiscriminatorConfig",
    "FolderConfig",
    "GriffinLimConfig",
    "IstftConfig",
    "NetworkConfig",
    "PaperNetworkConfig",
    "Precision",
    "PriorConfig",
    "Recipe",
    "RefinementConfig",
    "TrainedVocoderConfig",
    "VctkConfig",
    "VocoderConfig",
    "VocoderTrainConfig",
    "WorldConfig",
    "ZeroSpeech2019Config",
    "available_recipes",
    "find_recipe",
    "load_recipe",
    "recipe_folders",
    "validate_recipe",
]
