"""The weights of a trained ConvNeXt network for less look-ahead."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sqcodec.nn.taps import fewer_ahead

Ahead = Mapping[str, tuple[int, int]]  # name of a kernel -> frames that it looked ahead, and those that it is to


def with_fewer_ahead(weights: Mapping[str, Tensor], kernels: Ahead) -> dict[str, Tensor]:
    """The weights by name, on the CPU, with these kernels [.., 7] fitted to less look-ahead (`fewer_ahead`)."""
    changed = {name: weight.cpu() for name, weight in weights.items()}
    for name, (before, after) in kernels.items():
        changed[name] = torch.from_numpy(fewer_ahead(changed[name].numpy(), before, after))
    return changed
