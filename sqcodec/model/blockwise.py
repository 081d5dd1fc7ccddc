"""The networks of a codec on recordings of any length, in blocks with context: memory does not grow with the length."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.model.spectrogram_codec import SpectrogramCodec

_ENCODER_FRAMES = 1000  # coded at once, besides the margins
_DECODER_CODES = 500  # of one window, besides the margins
_WINDOWS = 8  # decoded at once: a recurrent layer takes hardly longer for eight rows than for one


def with_context(model: SpectrogramCodec, features: Tensor) -> Tensor:
    """features [F, T] of a whole recording as the encoder takes them: [F, 1 + whole codes + 1].

    The first frame comes once more before them, the last one as often after them as makes whole codes and one more.
    """
    return torch.cat(list(_with_context(model, [features], features.shape[1])), dim=1)


def encode_features(
    model: SpectrogramCodec,
    features: Iterable[Tensor],
    frames: int,
    device: torch.device,
    *,
    codebooks: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Features [F, t] of a recording of `frames` frames, in blocks -> (features [F, t], codes [K, t / 2]) on the CPU.

    codebooks: how many to use; None: all. The last frame is repeated up to a whole code. 2: the frames per code.
    """
    per_code = model.features.frames_per_code
    for window, start, stop in _encoder_windows(model, features, frames):
        codes = model.encode(window[None].to(device), codebooks=codebooks)[0]
        yield window[:, 1 + start : 1 + stop], codes[:, start // per_code : stop // per_code].cpu()


def _encoder_windows(
    model: SpectrogramCodec, features: Iterable[Tensor], frames: int
) -> Iterator[tuple[Tensor, int, int]]:
    """Cut features [F, t] of a recording of `frames` frames into windows [F, t + 2] whose codes join to the whole's.

    Yields each with the frames (start to stop, without the added one on the left) whose codes are to be kept.
    """
    per_code, margin = model.features.frames_per_code, model.encoder.margin
    total, at_once = _whole(frames, per_code), _whole(_ENCODER_FRAMES, per_code)
    padded = _with_context(model, features, frames)
    held, held_from = next(padded), 0
    for begin in range(0, total, at_once):
        stop = min(total, begin + at_once)
        first, last = max(0, begin - margin), min(total, stop + margin)
        held, held_from = held[:, first - held_from :], first
        while held.shape[1] < last + 2 - first:
            held = torch.cat([held, next(padded)], dim=1)
        yield held[:, : last + 2 - first], begin - first, stop - first


def _with_context(model: SpectrogramCodec, features: Iterable[Tensor], frames: int) -> Iterator[Tensor]:
    """As `with_context`, of features that come as [F, t] ..., together `frames`."""
    behind = 1 + _whole(frames, model.features.frames_per_code) - frames
    last: Tensor | None = None
    for block in features:
        if last is None:
            yield block[:, :1]
        yield block
        last = block[:, -1:]
    if last is not None:
        yield last.expand(-1, behind)


def _whole(frames: int, per_code: int) -> int:
    """Frames of the codes that it takes for so many."""
    return -(-frames // per_code) * per_code


def decode_features(model: SpectrogramCodec, codes: NDArray[np.uint16], voice: int) -> Iterator[Tensor]:
    """codes [K, T] -> features [F, t], together [F, 2 T] where a code is of 2 frames.

    The decoder sees its margin of codes beyond each block's edges. Measured on 112 s of speech with the paper's model
    after 3000 steps: blocks with a margin of 4 s differ from the whole by at most 7e-7 (2 s: 9e-5).
    """
    device, per_code = next(model.parameters()).device, model.features.frames_per_code
    indices, speaker = torch.from_numpy(codes.astype(np.int64)), torch.tensor([voice], device=device)
    total, margin = indices.shape[1], model.decoder.margin
    length = min(total, _DECODER_CODES + 2 * margin)  # of every window, so that they make a batch
    begins = range(0, total, _DECODER_CODES)
    for group in (begins[first : first + _WINDOWS] for first in range(0, len(begins), _WINDOWS)):
        starts = [min(max(0, begin - margin), total - length) for begin in group]
        windows = torch.stack([indices[:, start : start + length] for start in starts]).to(device)
        decoded = model.decode(windows, speaker.expand(len(windows)))
        for window, begin, start in zip(decoded, group, starts, strict=True):
            first, stop = begin - start, min(total, begin + _DECODER_CODES) - start
            yield window[:, per_code * first : per_code * stop]
