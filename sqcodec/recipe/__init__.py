"""A recipe: one YAML file, validated to one frozen object. No other place holds a default."""

from sqcodec.recipe.document import (
    FolderConfig,
    Recipe,
    VctkConfig,
    ZeroSpeech2019Config,
    available_recipes,
    find_recipe,
    load_recipe,
    validate_recipe,
)
from sqcodec.recipe.section import Precision
from sqcodec.recipe.vocoder import GriffinLimConfig

__all__ = [
    "FolderConfig",
    "GriffinLimConfig",
    "Precision",
    "Recipe",
    "VctkConfig",
    "ZeroSpeech2019Config",
    "available_recipes",
    "find_recipe",
    "load_recipe",
    "validate_recipe",
]
