"""Lloyd's algorithm, to initialise codebooks from data."""

import torch
from torch import Tensor

from sqcodec.quantizers.gaussian import nearest

_ROUNDS = 12


def k_means(points: Tensor, number: int, generator: torch.Generator | None) -> Tensor:
    """points [N, D], N >= number -> `number` centres [number, D]; an empty one moves to a point drawn at random."""
    centres = points[torch.randperm(len(points), generator=generator, device=points.device)[:number]].clone()
    for _ in range(_ROUNDS):
        owner = nearest(points, centres)
        counts = torch.bincount(owner, minlength=number)
        sums = torch.zeros_like(centres).index_add_(0, owner, points)
        again = torch.randint(len(points), (number,), generator=generator, device=points.device)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], points[again])
    return centres
