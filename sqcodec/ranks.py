"""One training in several processes (ranks): what they add up, and who draws what.

Within `together()` each rank's batch is its part of one global batch, and the ranks compute what one process would on
the whole. Outside of it everything here behaves as in a single process, so one rank may evaluate while others wait.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

_together = False


@contextmanager
def together() -> Iterator[None]:
    """All ranks run the body at the same time. No effect in a single process."""
    global _together
    before, _together = _together, distributed.is_available() and distributed.is_initialized()
    try:
        yield
    finally:
        _together = before


def count() -> int:
    """Number of ranks that work together; 1 outside `together`."""
    return distributed.get_world_size() if _together else 1


def own_rows(drawn: Tensor) -> Tensor:
    """This rank's rows [N, ...] of values drawn for the global batch [ranks x N, ...].

    Every rank draws for the whole batch from the same generator and keeps its part. Two ranks of N rows then see
    the same values as one rank of 2 N rows.
    """
    if not _together:
        return drawn
    return drawn.tensor_split(distributed.get_world_size())[distributed.get_rank()]


def total(values: Tensor) -> Tensor:
    """Sum over ranks of values of any shape. Every rank gets the sum; differentiable."""
    if not _together:
        return values
    summed: Tensor = _Total.apply(values)  # type: ignore[no-untyped-call]
    return summed


def mean(values: Tensor) -> Tensor:
    """Mean over ranks of values of any shape; differentiable."""
    return total(values) / count() if _together else values


def gathered(values: Tensor) -> Tensor:
    """Values [...] of every rank -> [ranks, ...]; differentiable."""
    if not _together:
        return values[None]
    is_own = torch.arange(count(), device=values.device) == distributed.get_rank()
    return total(torch.where(is_own.view(-1, *[1] * values.dim()), values, 0.0))


def pick(rows: Tensor, index: Tensor) -> Tensor:
    """Select rows [M, D] from the rows of all ranks. rows: this rank's [N, D]; index: [M], into ranks x N rows."""
    if not _together:
        return rows[index]
    own = index - distributed.get_rank() * len(rows)
    inside = (own >= 0) & (own < len(rows))
    return total(torch.where(inside[:, None], rows[own.clamp(0, len(rows) - 1)], 0.0))


class _Total(torch.autograd.Function):
    """Each rank's gradient is that of the sum of all ranks' losses."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        """All ranks' values added."""
        return _added(values)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        """All ranks' gradients added."""
        return _added(gradients[0])


def _added(values: Tensor) -> Tensor:
    values = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values
