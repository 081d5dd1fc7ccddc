"""The quantiser of each section of a recipe."""

from collections.abc import Callable
from typing import Any

from sqcodec.quantizers.fsq import FsqQuantizer
from sqcodec.quantizers.gaussian import GaussianQuantizer
from sqcodec.quantizers.quantizer import Quantizer
from sqcodec.quantizers.residual import ResidualQuantizer
from sqcodec.quantizers.vae import VaeLatents
from sqcodec.quantizers.vmf import VmfQuantizer
from sqcodec.quantizers.vq import VqQuantizer
from sqcodec.quantizers.vq_ema import VqEmaQuantizer
from sqcodec.recipe import quantizer_section as section

QUANTIZERS: dict[type[section.QuantizerSection], Callable[[Any], Quantizer]] = {
    section.GaussianConfig: GaussianQuantizer,
    section.VmfConfig: VmfQuantizer,
    section.VqConfig: VqQuantizer,
    section.VqEmaConfig: VqEmaQuantizer,
    section.ResidualConfig: ResidualQuantizer,
    section.FsqConfig: FsqQuantizer,
    section.VaeConfig: VaeLatents,
}


def build_quantizer(config: section.QuantizerConfig) -> Quantizer:
    """The quantiser of a recipe's section `quantizer`, with fresh parameters."""
    return QUANTIZERS[type(config)](config)
