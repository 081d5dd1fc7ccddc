"""BatchNorm folded into the convolutions before it: in use it is one factor and one shift a channel."""

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from sqcodec.model.codec import SpectrogramCodec


def fold_(codec: SpectrogramCodec) -> SpectrogramCodec:
    """Fold every BatchNorm of a codec in evaluation into the convolution before it; an identity takes its place.

    In float64, rounded once at the end. The codec can be trained or saved no more. A network without BatchNorm stays as
    it is.
    """
    for layers in codec.encoder.modules():
        if isinstance(layers, nn.Sequential):
            _fold_sequence_(layers)
    return codec


def _fold_sequence_(layers: nn.Sequential) -> None:
    for place, (convolution, norm) in enumerate(zip(layers, list(layers)[1:], strict=False)):
        if isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d):
            layers[place] = fuse_conv_bn_eval(convolution.double(), norm.double()).float()
            layers[place + 1] = nn.Identity()
