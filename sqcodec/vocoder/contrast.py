"""Contrast between bands: a decoder that learned to be near the truth on average gives spectrograms that are too
smooth; the first layer of the vocoder gives a part of the lost fine structure back, and so does the target of its
refinement.

Fine structure is what a Gaussian blur over neighbouring bands takes away. docs/results/vocoders.md has what it brings.
"""

import math
from copy import deepcopy

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from sqcodec.vocoder.istft import IstftNetwork

_BANDS = 6.0  # standard deviation of the blur
_QUIETER = 20 / math.log(10)  # dB below the median level of all frames: what is left out
_FLAT = 1e-12  # mean square of a band that has no fine structure


def _fine(bands: int) -> Tensor:
    """The matrix [F, F] that leaves of a spectrum what the blur takes away; the bands at the ends go on beyond them."""
    unit = np.eye(bands)
    return torch.from_numpy(unit - gaussian_filter1d(unit, _BANDS, axis=0, mode="nearest"))


def lost_contrast(recorded: Tensor, decoded: Tensor, decibels_per_unit: float) -> Tensor:
    """How many times as strong the fine structure of each band is in `recorded` [N, F] as in `decoded` [N, F], the same
    frames: a ratio [F] of root mean squares over the loud frames. decibels_per_unit: of the features."""
    fine = _fine(recorded.shape[1])
    level = recorded.mean(1)
    loud = level > level.median() - _QUIETER / decibels_per_unit
    one, other = (((frames[loud].double() @ fine.T) ** 2).mean(0) for frames in (recorded, decoded))
    return torch.where(other > _FLAT, one / other.clamp_min(_FLAT), torch.ones_like(one)).sqrt()


def with_contrast(network: IstftNetwork, lost: Tensor, part: float) -> IstftNetwork:
    """The network as if the fine structure of band f of its input were `1 + part (lost[f] - 1)` times as strong, x + g
    (x - blur x): in the weights of its first layer, and as its `contrast`. lost: [F], of `lost_contrast`.

    What that layer sees beyond the ends of a recording differs by the contrast of the mean spectrum. A network that has
    a `contrast` learned with it: its layers stay, the target alone is measured anew.
    """
    changed, layer = deepcopy(network), network.trunk.embed
    added = part * (lost.double().cpu() - 1)[:, None] * _fine(len(lost))
    changed.contrast = added.float().to(layer.weight.device)
    if network.contrast is None:
        _sharpen_input_(changed, added)
    return changed


def _sharpen_input_(network: IstftNetwork, added: Tensor) -> None:
    """Let the first layer see x + added x, [F, F] on x [F]."""
    layer = network.trunk.embed
    assert layer.bias is not None
    std, mean = (value.double().cpu() for value in (network.trunk.scale.std, network.trunk.scale.mean))
    scaled, shift = torch.eye(len(added)) + added * std.T / std, (added @ mean / std)[:, 0]
    weight, bias = (value.detach().double().cpu() for value in (layer.weight, layer.bias))
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("oft,fg->ogt", weight, scaled))
        layer.bias.copy_(bias + torch.einsum("oft,f->o", weight, shift))
