"""Fold BatchNorm into the preceding convolution: at inference it is one scale and one shift per channel."""

import torch
from torch import nn

from sqcodec.model.spectrogram_codec import SpectrogramCodec


@torch.no_grad()
def fold_(codec: SpectrogramCodec) -> SpectrogramCodec:
    """Replace each BatchNorm of a codec in eval mode by an identity, and scale the preceding convolution instead.

    The codec can no longer be trained or saved. A network without BatchNorm is unchanged. Scales and shifts are
    computed in float64. A folded weight is rounded to float32 twice: first the scale, then the product.
    `torch.nn.utils.fuse_conv_bn_eval` in float64 would take longer than coding one second of speech.
    """
    for layers in codec.encoder.modules():
        if isinstance(layers, nn.Sequential):
            _fold_sequence_(layers)
    return codec


def _fold_sequence_(layers: nn.Sequential) -> None:
    for index, (convolution, norm) in enumerate(zip(layers, list(layers)[1:], strict=False)):
        if isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d):
            assert convolution.bias is None
            norm = norm.double()
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            convolution.weight.mul_(scale.float()[:, None, None])
            convolution.bias = nn.Parameter((norm.bias - norm.running_mean * scale).float())
            layers[index + 1] = nn.Identity()
