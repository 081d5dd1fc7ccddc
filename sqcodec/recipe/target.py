"""The section `target` of a recipe: what the decoder gives."""

from typing import Literal

from sqcodec.recipe.section import Section


class MelConfig(Section):
    """The decoder gives spectrogram values, with Gaussian error."""

    kind: Literal["mel"]


class MelClassesConfig(Section):
    """The decoder gives classes of 1 dB: von Mises-Fisher over their directions (vmf), or plain probabilities (nc)."""

    kind: Literal["mel-classes"]
    likelihood: Literal["vmf", "nc"]


TargetConfig = MelConfig | MelClassesConfig
