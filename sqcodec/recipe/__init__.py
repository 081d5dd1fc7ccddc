"""A recipe: one YAML file, validated to one frozen object. No other place holds a default."""

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
from sqcodec.recipe.quantizer_section import (
    GaussianConfig,
    QuantizerConfig,
    ResidualConfig,
    VaeConfig,
    VmfConfig,
    VqConfig,
    VqEmaConfig,
)
from sqcodec.recipe.section import Precision
from sqcodec.recipe.target_section import MelClassesConfig, MelConfig, TargetConfig
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
    "GaussianConfig",
    "GriffinLimConfig",
    "IstftConfig",
    "MelClassesConfig",
    "MelConfig",
    "NetworkConfig",
    "PaperNetworkConfig",
    "Precision",
    "PriorConfig",
    "QuantizerConfig",
    "Recipe",
    "RefinementConfig",
    "ResidualConfig",
    "TargetConfig",
    "TrainedVocoderConfig",
    "VaeConfig",
    "VctkConfig",
    "VmfConfig",
    "VocoderConfig",
    "VocoderTrainConfig",
    "VqConfig",
    "VqEmaConfig",
    "WorldConfig",
    "ZeroSpeech2019Config",
    "available_recipes",
    "find_recipe",
    "load_recipe",
    "recipe_folders",
    "validate_recipe",
]
