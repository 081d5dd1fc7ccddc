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
from sqcodec.recipe.quantizer import GaussianConfig, QuantizerConfig, VaeConfig, VmfConfig, VqConfig, VqEmaConfig
from sqcodec.recipe.section import Precision
from sqcodec.recipe.target import MelClassesConfig, MelConfig, TargetConfig
from sqcodec.recipe.vocoder import GriffinLimConfig

__all__ = [
    "FolderConfig",
    "GaussianConfig",
    "GriffinLimConfig",
    "MelClassesConfig",
    "MelConfig",
    "Precision",
    "QuantizerConfig",
    "Recipe",
    "TargetConfig",
    "VaeConfig",
    "VctkConfig",
    "VmfConfig",
    "VqConfig",
    "VqEmaConfig",
    "ZeroSpeech2019Config",
    "available_recipes",
    "find_recipe",
    "load_recipe",
    "recipe_folders",
    "validate_recipe",
]
