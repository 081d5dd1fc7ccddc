"""Long recordings in windows with context, so that memory does not grow with them and seams are inaudible."""

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple

from sqcodec.arrays import AnyArray, namespace

BLOCK = 1000  # frames at once, besides the context


class Window(NamedTuple, Generic[AnyArray]):
    """features [F, t]; frames start to stop - 1 of them are wanted, the others are context."""

    features: AnyArray
    start: int
    stop: int


def windows(pieces: Iterable[AnyArray], *, behind: int, ahead: int, block: int = BLOCK) -> Iterator[Window[AnyArray]]:
    """Cut features in pieces [F, t] into windows of `block` frames with `behind` and `ahead` frames of context.

    How they come in pieces changes nothing. Context ends where the recording ends. No frames give no window.
    """
    held: AnyArray | None = None
    start = 0
    for piece in pieces:
        held = piece if held is None else namespace(piece).concatenate([held, piece], axis=1)
        while held.shape[1] >= start + block + ahead:
            yield Window(held[:, : start + block + ahead], start, start + block)
            gone = max(0, start + block - behind)
            held, start = held[:, gone:], start + block - gone
    if held is not None and start < held.shape[1]:
        yield Window(held, start, held.shape[1])


def with_last_repeated(pieces: Iterable[AnyArray]) -> Iterator[AnyArray]:
    """The pieces [F, t], and their last frame once more: it makes what lies more than half a hop behind the last."""
    last: AnyArray | None = None
    for piece in pieces:
        if piece.shape[1]:
            last = piece[:, -1:]
            yield piece
    if last is not None:
        yield last


def encoder_windows(
    features: Iterable[AnyArray], frames: int, *, per_code: int, margin: int, block: int = BLOCK
) -> Iterator[Window[AnyArray]]:
    """Cut a recording of `frames` frames [F, t] ... into windows of an encoder, [F, t + 2]: one frame on each side.

    The codes of a window's frames start to stop - 1 are kept; joined, they are the codes of the whole recording. start
    and stop do not count the frame on the left. per_code: frames per code; margin: frames of context that the encoder
    needs on each side; block: frames of a window without it.
    """
    total, step = round_up(frames, per_code), round_up(block, per_code)
    padded = with_context(features, frames, per_code=per_code)
    buffer, offset = next(padded), 0
    for begin in range(0, total, step):
        stop = min(total, begin + step)
        first, last = max(0, begin - margin), min(total, stop + margin)
        buffer, offset = buffer[:, first - offset :], first
        while buffer.shape[1] < last + 2 - first:
            buffer = namespace(buffer).concatenate([buffer, next(padded)], axis=1)
        yield Window(buffer[:, : last + 2 - first], begin - first, stop - first)


def with_context(features: Iterable[AnyArray], frames: int, *, per_code: int) -> Iterator[AnyArray]:
    """Pad features [F, t] ... of `frames` frames in all to an encoder's input: 1 + frames of whole codes + 1.

    The first frame is repeated once on the left. The last is repeated on the right up to a whole code, and once more.
    """
    last: AnyArray | None = None
    for block in features:
        if last is None:
            yield block[:, :1]
        yield block
        last = block[:, -1:]
    if last is not None:
        yield namespace(last).concatenate([last] * (1 + round_up(frames, per_code) - frames), axis=1)


def round_up(frames: int, per_code: int) -> int:
    """The next multiple of the frames per code."""
    return -(-frames // per_code) * per_code
