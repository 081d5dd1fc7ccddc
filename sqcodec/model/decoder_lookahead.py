"""A codec whose decoder looks less far ahead: the start of a training that makes up for it."""

from sqcodec.errors import ModelError
from sqcodec.model.assembly import build_codec
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.nn.lookahead import with_fewer_ahead
from sqcodec.nn.taps import ahead_of_each
from sqcodec.recipe import ConvNextConfig


def with_decoder_lookahead(codec: SpectrogramCodec, codes: int) -> SpectrogramCodec:
    """The codec, on the CPU, with a decoder that looks so many codes ahead; its codes are the same.

    Raises ModelError: not a ConvNeXt network, or one that looks less far ahead.
    """
    network = codec.recipe.network
    if not isinstance(network, ConvNextConfig):
        raise ModelError(f"expected a model with network.kind convnext, got {network.kind}")
    if codes > network.decoder_lookahead:
        raise ModelError(f"the decoder looks {network.decoder_lookahead} codes ahead, expected {codes} or more")
    fewer = network.model_copy(update={"decoder_lookahead": codes})
    changed = build_codec(codec.recipe.model_copy(update={"network": fewer}), codec.speakers, codec.classes)
    pairs = zip(*(_decoder_ahead(config) for config in (network, fewer)), strict=True)
    kernels = {f"decoder.blocks.layers.{number}.depthwise.weight": pair for number, pair in enumerate(pairs)}
    changed.load_state_dict(with_fewer_ahead(codec.state_dict(), kernels))
    return changed.eval()


def _decoder_ahead(config: ConvNextConfig) -> list[int]:
    return ahead_of_each(config.decoder_layers - 1, config.decoder_lookahead)
