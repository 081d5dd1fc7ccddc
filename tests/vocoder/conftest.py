"""Networks small enough to make in a moment."""

from sqcodec.recipe import IstftConfig, WorldConfig, load_recipe

TINY_ISTFT = (
    "vocoder.dim=16", "vocoder.hidden=24", "vocoder.layers=2", "vocoder.refinement.iterations=3",
)  # fmt: skip
TINY_WORLD = ("vocoder.dim=16", "vocoder.hidden=24", "vocoder.layers=2", "vocoder.lookahead=5", "vocoder.envelope=24")


def small_istft(*overrides: str) -> IstftConfig:
    config = load_recipe("istft", (*TINY_ISTFT, *overrides)).vocoder
    assert isinstance(config, IstftConfig)
    return config


def small_world(*overrides: str) -> WorldConfig:
    config = load_recipe("world", (*TINY_WORLD, *overrides)).vocoder
    assert isinstance(config, WorldConfig)
    return config
