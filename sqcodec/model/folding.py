"""BatchNorm folded into the convolutions before it: in use it is one factor and one shift a channel."""

import torch
from torch import nn

from sqcodec.model.spectrogram_codec import SpectrogramCodec


@torch.no_grad()
def fold_(codec: SpectrogramCodec) -> SpectrogramCodec:
    """Fold every BatchNorm of a codec in evaluation into the convolution before it; an identity takes its place.

    Factors and shifts are computed in float64; a folded weight is rounded twice, with its factor and as the product
    (torch.nn.utils.fuse_conv_bn_eval in float64 takes longer than coding a second of speech). The codec can be trained
    or saved no more. A network without BatchNorm stays as it is.
    """
    for layers in codec.encoder.modules():
        if isinstance(layers, nn.Sequential):
            _fold_sequence_(layers)
    return codec


def _fold_sequence_(layers: nn.Sequential) -> None:
    for place, (convolution, norm) in enumerate(zip(layers, list(layers)[1:], strict=False)):
        if isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d):
            assert convolution.bias is None
            norm = norm.double()
            assert norm.running_mean is not None
            assert norm.running_var is not None
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            convolution.weight.mul_(factor.float()[:, None, None])
            convolution.bias = nn.Parameter((norm.bias - norm.running_mean * factor).float())
            layers[place + 1] = nn.Identity()
