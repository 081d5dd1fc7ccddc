"""Build a codec from the parts that a recipe names."""

import numpy as np
from numpy.typing import NDArray

from sqcodec.model.convnext_network import ConvNextDecoder, ConvNextEncoder
from sqcodec.model.likelihood import CategoricalLikelihood, GaussianLikelihood, Likelihood, VonMisesFisherLikelihood
from sqcodec.model.mel_classes import MelClasses, find_classes
from sqcodec.model.network import Decoder, Encoder
from sqcodec.model.paper_network import PaperDecoder, PaperEncoder
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.quantizers.build import build_quantizer
from sqcodec.recipe import CodecRecipe, ConvNextConfig, PaperNetworkConfig
from sqcodec.recipe.network_section import NetworkConfig
from sqcodec.recipe.target_section import MelConfig, TargetConfig
from sqcodec.spectrogram import FeatureConfig


def build_codec(
    recipe: CodecRecipe, speakers: tuple[str, ...] = (), classes: MelClasses | None = None
) -> SpectrogramCodec:
    """The codec of a recipe, with newly initialised parameters.

    speakers: those of the training set; empty for a speaker-independent network. classes: see `find_target_classes`.
    """
    features = recipe.features.configuration
    quantizer = build_quantizer(recipe.quantizer)  # first: initial values depend on the order of the random draws
    likelihood = build_likelihood(recipe.target, classes)
    encoder, decoder = build_networks(
        recipe.network,
        features,
        latents=quantizer.channels,
        dim=quantizer.dim,
        outputs=features.n_mels * likelihood.outputs,
        speakers=len(speakers),
    )
    return SpectrogramCodec(
        encoder,
        quantizer,
        decoder,
        features=features,
        likelihood=likelihood,
        speakers=speakers,
        jitter=recipe.network.jitter,
        recipe=recipe,
    )


def build_networks(
    config: NetworkConfig, features: FeatureConfig, *, latents: int, dim: int, outputs: int, speakers: int
) -> tuple[Encoder, Decoder]:
    """Encoder and decoder of a recipe's section `network`.

    latents: channels of the encoder's output; dim: channels of the decoder's input; outputs: values per frame from the
    decoder; speakers: size of the paper network's speaker embedding.
    """
    match config:
        case PaperNetworkConfig():
            return (
                PaperEncoder(config, n_mels=features.n_mels, outputs=latents),
                PaperDecoder(config, dim=dim, speakers=speakers, outputs=outputs),
            )
        case ConvNextConfig():
            return (
                ConvNextEncoder(config, features, outputs=latents),
                ConvNextDecoder(config, features, dim=dim, outputs=outputs),
            )


def build_likelihood(config: TargetConfig, classes: MelClasses | None) -> Likelihood:
    """The decoder's output distribution, from a recipe's section `target`."""
    if isinstance(config, MelConfig):
        return GaussianLikelihood(config.loudness, config.variance)
    assert classes is not None
    return VonMisesFisherLikelihood(classes) if config.likelihood == "vmf" else CategoricalLikelihood(classes)


def find_target_classes(recipe: CodecRecipe, features: NDArray[np.float16]) -> MelClasses | None:
    """The mel classes that a recipe trains on, from the training set's features [T, F]; None for other targets."""
    return None if recipe.target.kind == "mel" else find_classes(features, recipe.features.configuration)
