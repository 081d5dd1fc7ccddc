"""The section `network` of a recipe: the encoder and the decoder."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sqcodec.recipe.section import Count, Layers, Section

Lookahead = Annotated[int, Field(ge=0, strict=True)]


class PaperNetworkConfig(Section):
    """The convolutional encoder and the recurrent decoder of the paper; the decoder knows the training's speakers."""

    kind: Literal["paper"] = "paper"
    channels: Count
    speaker_dim: Count
    gru: Count
    jitter: Annotated[float, Field(ge=0, le=1)]

    @property
    def knows_speakers(self) -> bool:
        """The decoder has an embedding for each speaker."""
        return True

    @property
    def keeps_padding_out(self) -> bool:
        """The encoder takes the lengths of padded rows."""
        return True


class ConvNextConfig(Section):
    """ConvNeXt encoder and decoder at the rate of the codes, for any speaker: no labels.

    dim, hidden: channels of the blocks and within them. encoder_lookahead, decoder_lookahead: codes (20 ms) that each
    sees ahead, at most 3 a layer; the encoder sees one frame (10 ms) more.
    """

    kind: Literal["convnext"] = "convnext"
    dim: Count
    hidden: Count
    encoder_layers: Layers
    decoder_layers: Layers
    encoder_lookahead: Lookahead
    decoder_lookahead: Lookahead

    @property
    def jitter(self) -> float:
        """0: only the paper's network moves codewords in training."""
        return 0.0

    @property
    def knows_speakers(self) -> bool:
        """Any speaker, no labels."""
        return False

    @property
    def keeps_padding_out(self) -> bool:
        """The encoder takes rows of one length."""
        return False

    @model_validator(mode="after")
    def _lookahead_fits(self) -> Self:
        for part in ("encoder", "decoder"):
            layers, lookahead = getattr(self, f"{part}_layers"), getattr(self, f"{part}_lookahead")
            if lookahead > 3 * layers:
                raise ValueError(
                    f"{part}_lookahead must be at most {3 * layers} codes with {layers} layers, got {lookahead}"
                )
        return self


NetworkConfig = PaperNetworkConfig | ConvNextConfig
