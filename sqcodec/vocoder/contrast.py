"""Contrast between bands: a decoder that learned to be near the truth on average gives spectrograms that are too
smooth; the first layer of the vocoder gives a part of the lost fine structure back.

Fine structure is what a Gaussian blur over neighbouring bands takes away. docs/results/vocoders.md has what it brings.
"""

import math
from copy import deepcopy

import torch
from torch import Tensor

from sqcodec.vocoder.istft import IstftNetwork

_BANDS = 6.0  # standard deviation of the blur
_QUIETER = 20 / math.log(10)  # dB below the median level of all frames: what is left out
_FLAT = 1e-12  # mean square of a band that has no fine structure


def blur(bands: int) -> Tensor:
    """The matrix [F, F] that blurs a spectrum of F bands; the first and the last band go on beyond the ends."""
    reach = int(4 * _BANDS)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / _BANDS) ** 2)
    matrix = torch.zeros(bands, bands, dtype=torch.float64)
    for shift, weight in zip(range(-reach, reach + 1), (weights / weights.sum()).tolist(), strict=True):
        matrix[torch.arange(bands), (torch.arange(bands) + shift).clamp(0, bands - 1)] += weight
    return matrix


def lost_contrast(recorded: Tensor, decoded: Tensor, decibels_per_unit: float) -> Tensor:
    """How many times as strong the fine structure of each band is in `recorded` [N, F] as in `decoded` [N, F], the same
    frames: a ratio [F] of root mean squares over the loud frames. decibels_per_unit: of the features."""
    sharp = torch.eye(recorded.shape[1], dtype=torch.float64) - blur(recorded.shape[1])
    level = recorded.mean(1)
    loud = level > level.median() - _QUIETER / decibels_per_unit
    one, other = (((frames[loud].double() @ sharp.T) ** 2).mean(0) for frames in (recorded, decoded))
    return torch.where(other > _FLAT, one / other.clamp_min(_FLAT), torch.ones_like(one)).sqrt()


def with_contrast(network: IstftNetwork, lost: Tensor, part: float) -> IstftNetwork:
    """The network as if the fine structure of band f of its input were `1 + part (lost[f] - 1)` times as strong, x + g
    (x - blur x), in the weights of its first layer. lost: [F], of `lost_contrast`.

    What that layer sees beyond the ends of a recording differs by the contrast of the mean spectrum.
    """
    changed, bands = deepcopy(network), len(lost)
    eye = torch.eye(bands, dtype=torch.float64)
    matrix = eye + torch.diag(part * (lost.double().cpu() - 1)) @ (eye - blur(bands))
    std, mean = (value.double().cpu() for value in (network.trunk.scale.std, network.trunk.scale.mean))
    scaled, shift = matrix * std.T / std, ((matrix - eye) @ mean / std)[:, 0]
    layer = changed.trunk.embed
    assert layer.bias is not None
    weight, bias = (value.detach().double().cpu() for value in (layer.weight, layer.bias))
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("oft,fg->ogt", weight, scaled))
        layer.bias.copy_(bias + torch.einsum("oft,f->o", weight, shift))
    return changed
