"""Long features in blocks with context, so that memory does not grow with the recording and seams are inaudible."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 1000  # frames made at once, besides the context


class Window(NamedTuple):
    """features [F, t]; frames start to stop - 1 of them are to be made, the others are context."""

    features: Tensor
    start: int
    stop: int


def windows(pieces: Iterable[Tensor], *, behind: int, ahead: int) -> Iterator[Window]:
    """Cut features that come in pieces [F, t] into windows of BLOCK frames with `behind` and `ahead` frames of context.

    How they come in pieces changes nothing. Context ends where the recording ends. No frames give no window.
    """
    held, start = torch.empty(0), 0
    for piece in pieces:
        held = torch.cat([held, piece], dim=1) if held.numel() else piece
        while held.shape[1] >= start + BLOCK + ahead:
            yield Window(held[:, : start + BLOCK + ahead], start, start + BLOCK)
            gone = max(0, start + BLOCK - behind)
            held, start = held[:, gone:], start + BLOCK - gone
    if held.numel() and start < held.shape[1]:
        yield Window(held, start, held.shape[1])


def with_last_repeated(pieces: Iterable[Tensor]) -> Iterator[Tensor]:
    """The pieces [F, t], and their last frame once more: it makes what lies more than half a hop behind the last."""
    last: Tensor | None = None
    for piece in pieces:
        if piece.shape[1]:
            last = piece[:, -1:]
            yield piece
    if last is not None:
        yield last
