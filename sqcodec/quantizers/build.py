"""The quantiser that a recipe asks for."""

from typing import assert_never

from sqcodec.quantizers.gaussian import GaussianQuantizer
from sqcodec.quantizers.quantizer import Quantizer
from sqcodec.quantizers.residual import ResidualQuantizer
from sqcodec.quantizers.vae import VaeLatents
from sqcodec.quantizers.vmf import VmfQuantizer
from sqcodec.quantizers.vq import VqQuantizer
from sqcodec.quantizers.vq_ema import VqEmaQuantizer
from sqcodec.recipe import GaussianConfig, QuantizerConfig, ResidualConfig, VaeConfig, VmfConfig, VqConfig, VqEmaConfig


def build_quantizer(config: QuantizerConfig) -> Quantizer:
    """The quantiser of a recipe's section `quantizer`, with fresh parameters."""
    match config:
        case GaussianConfig():
            return GaussianQuantizer(
                variance=config.variance,
                codewords=config.codewords,
                dim=config.dim,
                initial_variance=config.initial_variance,
            )
        case VmfConfig():
            return VmfQuantizer(
                codewords=config.codewords, dim=config.dim, initial_concentration=config.initial_concentration
            )
        case VqConfig():
            return VqQuantizer(
                codewords=config.codewords,
                dim=config.dim,
                commitment=config.commitment,
                weighting=config.weighting,
                initialisation=config.initialisation,
            )
        case VqEmaConfig():
            return VqEmaQuantizer(
                codewords=config.codewords,
                dim=config.dim,
                commitment=config.commitment,
                decay=config.decay,
                epsilon=config.epsilon,
                reset_below=config.reset_below,
                weighting=config.weighting,
                initialisation=config.initialisation,
            )
        case ResidualConfig():
            return ResidualQuantizer(
                stages=config.stages,
                codewords=config.codewords,
                dim=config.dim,
                initial_variance=config.initial_variance,
                ratio=config.ratio,
                dropout=config.dropout,
            )
        case VaeConfig():
            return VaeLatents(dim=config.dim)
        case _:
            assert_never(config)
