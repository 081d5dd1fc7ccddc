"""The section `target` of a recipe: the output of the decoder."""

from typing import Annotated, Literal

from pydantic import Field

from sqcodec.recipe.section import Section


class MelConfig(Section):
    """The decoder gives spectrogram values, with Gaussian error.

    loudness: exponent of the amplitude that errors are weighed by, 0 for all alike. Sone goes with the amplitude to the
    0.46 (Stevens' law for intensity^0.23, as in PESQ): what is loud counts more. variance: of the error, the best one
    of the whole batch, as in the paper, or of each crop: with residual stages some crops are coded by fewer than
    others, and the coarse ones would drown what the fine ones have to teach.
    """

    kind: Literal["mel"] = "mel"
    loudness: Annotated[float, Field(ge=0, le=1)]
    variance: Literal["batch", "crop"]


class MelClassesConfig(Section):
    """The decoder gives classes of 1 dB: von Mises-Fisher over their directions (vmf), or plain probabilities (nc)."""

    kind: Literal["mel-classes"] = "mel-classes"
    likelihood: Literal["vmf", "nc"]


TargetConfig = MelConfig | MelClassesConfig
