"""Rows of different lengths in one batch: what is padding is set to zero wherever a convolution would reach it.

A row alone is padded with zeros at every layer, so that it gives the same in a batch as alone, but for rounding.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def padded(rows: Sequence[Tensor]) -> Tensor:
    """Rows [.., t] -> [B, .., longest], zeros behind the shorter ones."""
    longest = max(row.shape[-1] for row in rows)
    return torch.stack([functional.pad(row, (0, longest - row.shape[-1])) for row in rows])


def lengths_of(lengths: Sequence[int], device: torch.device) -> Tensor | None:
    """[B] int64; None where all are equal, so that nothing is padding."""
    return torch.tensor(lengths, device=device) if len(set(lengths)) > 1 else None


def within(lengths: Tensor, longest: int) -> Tensor:
    """lengths [B] -> mask [B, longest] bool, True up to each length."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]
