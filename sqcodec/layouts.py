"""Codes as token ids for language models, and back. NumPy alone; reversible for any shape.

K: codebooks. T: frames. V_k: codewords of codebook k. N: the offset, which leaves the ids 0 to N - 1 to other tokens.

    layout   ids         id of code c of codebook k in frame t   where it stands   no code
    stages   [K, T]      N + c                                   k, t              N + max V
    delay    [K, T+K-1]  N + c                                   k, t + k          N + max V
    flat     [n]         N + V_0 + ... + V_(k-1) + c             frame by frame    left out

A frame may use fewer codebooks than K, the first ones. Its other positions hold the id for "no code" or, in `flat`, are
left out: the ids themselves say where a frame begins. A frame of `flat` has 1 to K ids.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import CodesError

LayoutName = Literal["stages", "flat", "delay"]


class Frames(NamedTuple):
    """codes: [K, T] uint16, 0 where a frame has no code; stages: [T] uint8, codebooks that each frame uses, 1 to K,
    the first ones; None: all."""

    codes: NDArray[np.uint16]
    stages: NDArray[np.uint8] | None


def stack(
    codes: NDArray[Any], codewords: Sequence[int], *, stages: NDArray[Any] | None = None, offset: int = 0
) -> NDArray[np.int64]:
    """Codes [K, T] -> ids [K, T]. codewords: V of each of the K codebooks; stages: [T], codebooks of each frame.

    Raises CodesError: other shapes, a code or an offset out of range.
    """
    used = _used(codes, codewords, stages, offset)
    return np.where(used, codes.astype(np.int64), max(codewords)) + offset


def unstack(ids: NDArray[Any], codewords: Sequence[int], *, offset: int = 0) -> Frames:
    """The codes of `stack`. Raises CodesError: another number of rows, an id out of range, or a code above a gap."""
    books, pad = len(codewords), max(codewords)
    if ids.ndim != 2 or len(ids) != books:
        raise CodesError(f"got ids of shape {ids.shape}, expected [{books}, T]: one row for each codebook")
    codes = ids.astype(np.int64) - offset
    used = codes != pad
    _check_codes(codes, codewords, used)
    if (used[1:] & ~used[:-1]).any() or not used[0].all():
        frame = int(np.flatnonzero((used[1:] & ~used[:-1]).any(0) | ~used[0])[0])
        raise CodesError(f"frame {frame}: a codebook without a code before one that has a code, or none at all")
    return Frames(np.where(used, codes, 0).astype(np.uint16), _stages(used.sum(0), books))


def delay(
    codes: NDArray[Any], codewords: Sequence[int], *, stages: NDArray[Any] | None = None, offset: int = 0
) -> NDArray[np.int64]:
    """Codes [K, T] -> ids [K, T + K - 1], row k moved right by k (the delay pattern of MusicGen). See `stack`."""
    ids = stack(codes, codewords, stages=stages, offset=offset)
    books, frames = ids.shape
    moved = np.full((books, frames + books - 1), max(codewords) + offset, np.int64)
    for book in range(books):
        moved[book, book : book + frames] = ids[book]
    return moved


def undelay(ids: NDArray[Any], codewords: Sequence[int], *, offset: int = 0) -> Frames:
    """The codes of `delay`. Raises CodesError as `unstack`, or when an id stands where the delay leaves none."""
    books = len(codewords)
    if ids.ndim != 2 or len(ids) != books or ids.shape[1] < books - 1:
        raise CodesError(f"got ids of shape {ids.shape}, expected [{books}, T + {books - 1}]")
    frames, pad = ids.shape[1] - books + 1, max(codewords) + offset
    rows = [ids[book, book : book + frames] for book in range(books)]
    corners = [np.concatenate([ids[book, :book], ids[book, book + frames :]]) for book in range(books)]
    if any((corner != pad).any() for corner in corners):
        raise CodesError(f"an id other than {pad} before the first or after the last frame; expected delayed rows")
    return unstack(np.stack(rows), codewords, offset=offset)


def flatten(
    codes: NDArray[Any], codewords: Sequence[int], *, stages: NDArray[Any] | None = None, offset: int = 0
) -> NDArray[np.int64]:
    """Codes [K, T] -> ids [n], frame by frame, from the first codebook to the last. See `stack`."""
    used = _used(codes, codewords, stages, offset)
    return (codes.astype(np.int64) + _first_ids(codewords)[:-1, None] + offset).T[used.T]


def unflatten(ids: NDArray[Any], codewords: Sequence[int], *, offset: int = 0) -> Frames:
    """The codes of `flatten`. Raises CodesError: no array [n], an id out of range, or a codebook out of turn."""
    if ids.ndim != 1:
        raise CodesError(f"got ids of shape {ids.shape}, expected [n]: frame by frame")
    first, values = _first_ids(codewords), ids.astype(np.int64) - offset
    if values.size and not 0 <= values.min() <= values.max() < first[-1]:
        raise CodesError(f"got ids {ids.min()} to {ids.max()}, expected {offset} to {offset + first[-1] - 1}")
    books = np.searchsorted(first, values, side="right") - 1
    before = np.concatenate([[-1], books[:-1]])
    wrong = np.flatnonzero((books != 0) & (books != before + 1))
    if len(wrong):
        raise CodesError(
            f"id {wrong[0]}: got codebook {books[wrong[0]]} after {before[wrong[0]]}, expected the next one, or 0"
        )
    frames = np.cumsum(books == 0) - 1
    codes = np.zeros((len(codewords), int(frames[-1]) + 1 if len(frames) else 0), np.uint16)
    codes[books, frames] = values - first[books]
    return Frames(codes, _stages(np.bincount(frames, minlength=codes.shape[1]), len(codewords)))


class Layout(NamedTuple):
    """A layout, there and back. vocabulary: the number of ids for these codewords, without the offset; padded: whether
    the last of them says "no code"."""

    arrange: Callable[..., NDArray[np.int64]]
    restore: Callable[..., Frames]
    vocabulary: Callable[[Sequence[int]], int]
    padded: bool


LAYOUTS: dict[LayoutName, Layout] = {
    "stages": Layout(stack, unstack, lambda codewords: max(codewords) + 1, padded=True),
    "flat": Layout(flatten, unflatten, sum, padded=False),
    "delay": Layout(delay, undelay, lambda codewords: max(codewords) + 1, padded=True),
}


def _used(codes: NDArray[Any], codewords: Sequence[int], stages: NDArray[Any] | None, offset: int) -> NDArray[np.bool_]:
    """[K, T]: whether a frame has a code of this codebook. Raises CodesError as `stack`."""
    if codes.ndim != 2 or len(codes) != len(codewords) or codes.dtype.kind not in "iu":
        raise CodesError(
            f"got {codes.dtype} codes of shape {codes.shape}, expected integers [{len(codewords)}, T]: one row for"
            " each codebook"
        )
    if offset < 0:
        raise CodesError(f"got the offset {offset}, expected 0 or more")
    if stages is None:
        stages = np.full(codes.shape[1], len(codes))
    if stages.shape != codes.shape[1:] or (stages.size and not 1 <= stages.min() <= stages.max() <= len(codes)):
        raise CodesError(f"got stages of shape {stages.shape}, expected [{codes.shape[1]}] from 1 to {len(codes)}")
    used: NDArray[np.bool_] = np.arange(len(codes))[:, None] < stages
    _check_codes(codes, codewords, used)
    return used


def _check_codes(codes: NDArray[Any], codewords: Sequence[int], used: NDArray[np.bool_]) -> None:
    wrong = np.argwhere(used & ((codes < 0) | (codes >= np.array(codewords)[:, None])))
    if len(wrong):
        book, frame = wrong[0]
        raise CodesError(
            f"codebook {book}, frame {frame}: got code {codes[book, frame]}, expected 0 to {codewords[book] - 1}"
        )


def _stages(counts: NDArray[Any], books: int) -> NDArray[np.uint8] | None:
    return None if (counts == books).all() else counts.astype(np.uint8)


def _first_ids(codewords: Sequence[int]) -> NDArray[np.int64]:
    """[K + 1]: where the ids of each codebook begin, and the end of the last."""
    return np.concatenate([[0], np.cumsum(codewords)]).astype(np.int64)
