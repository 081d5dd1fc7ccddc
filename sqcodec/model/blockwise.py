"""Run a codec's networks in blocks with context, several at once: memory does not grow with the recordings."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec import windows
from sqcodec.batching import frames_at_once, in_batches
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.nn.padding import lengths_of, padded

_DECODER_CODES = 500  # codes per decoder window, without the margins
# Frames of a batch on a CPU: convolutions gain a fifth for files of 3 s and nothing beyond a block. A recurrent layer
# takes hardly longer for eight rows than for one, so eight windows with their margins are decoded together.
_ENCODED = 2000
_DECODED = 14_400

_Result = TypeVar("_Result")
_Analysed = tuple[Iterable[Tensor], int]  # features [F, t] ..., frames in all


class Encoded(NamedTuple):
    """A block, on the CPU: features [F, t], codes [K, t / 2], the encoder's output [t / 2, channels]."""

    features: Tensor
    codes: Tensor
    latents: Tensor


class _CodesWindow(NamedTuple):
    """codes [K, t]; the features of codes start to stop - 1 of them are wanted."""

    codes: Tensor
    start: int
    stop: int
    speaker_index: int


def with_context(model: SpectrogramCodec, features: Tensor) -> Tensor:
    """Pad the features [F, T] of a whole recording to the encoder's input: [F, 1 + frames of whole codes + 1].

    See `windows.with_context`.
    """
    padded = windows.with_context([features], features.shape[1], per_code=model.features.frames_per_code)
    return torch.cat(list(padded), dim=1)


def encode_features(
    model: SpectrogramCodec,
    features: Iterable[Tensor],
    frames: int,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Encode a recording given in blocks of features [F, t]: yields (features [F, t], codes [K, t / 2]), on the CPU.

    frames: length of the recording. 2 stands for the frames per code. The last frame is repeated up to a whole code.
    """
    blocks = chain.from_iterable(encode_each(model, [(features, frames)], device, codebooks=None))
    return ((block.features, block.codes) for block in blocks)


def encode_each(
    model: SpectrogramCodec, recordings: Iterable[_Analysed], device: torch.device, *, codebooks: int | None
) -> Iterator[Iterator[Encoded]]:
    """As `encode_features`, of each of several recordings; the blocks of one must be taken before the next.

    codebooks: how many to use; None: all.
    """
    for blocks in _windows_of_each(model, recordings, device, partial(_encoded, model, device, codebooks)):
        yield (Encoded(part, *found) for part, found in blocks)


def encode_latents(
    model: SpectrogramCodec, features: Iterable[Tensor], frames: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `encode_features`: (features [F, t], the encoder's output [t / 2, channels] on the device)."""
    run = partial(_latents, model, device)
    return chain.from_iterable(_windows_of_each(model, [(features, frames)], device, run))


def _windows_of_each(
    model: SpectrogramCodec,
    recordings: Iterable[_Analysed],
    device: torch.device,
    run: Callable[[list[windows.Window[Tensor]]], Sequence[_Result]],
) -> Iterator[Iterator[tuple[Tensor, _Result]]]:
    """(features [F, t], result of `run`) of the blocks of each recording."""
    per_code, margin = model.features.frames_per_code, model.encoder.margin
    every = in_batches(
        recordings,
        lambda each: windows.encoder_windows(*each, per_code=per_code, margin=margin),
        run,
        shape=lambda window: (0, window.features.shape[1]),
        frames=frames_at_once(str(device), on_cpu=_ENCODED),
    )
    for _, blocks in every:
        yield ((window[:, 1 + start : 1 + stop], result) for (window, start, stop), result in blocks)


@torch.inference_mode()
def _latents(model: SpectrogramCodec, device: torch.device, cut: Sequence[windows.Window[Tensor]]) -> list[Tensor]:
    """The encoder's output [t / 2, channels] of each window, without its context."""
    per_code = model.features.frames_per_code
    frames = lengths_of([window.features.shape[1] - 2 for window in cut], device)
    rows = model.encoder(padded([window.features for window in cut]).to(device), frames)
    return [row[start // per_code : stop // per_code] for row, (_, start, stop) in zip(rows, cut, strict=True)]


@torch.inference_mode()
def _encoded(
    model: SpectrogramCodec, device: torch.device, codebooks: int | None, cut: Sequence[windows.Window[Tensor]]
) -> list[tuple[Tensor, Tensor]]:
    """Codes [K, t / 2] and latents [t / 2, channels] of each window, on the CPU."""
    several = _latents(model, device, cut)
    sizes, joined = [len(latents) for latents in several], torch.cat(several)
    codes = model.quantizer.encode(joined[None], codebooks)[0]
    parts = torch.split(codes.cpu(), sizes, dim=1), torch.split(joined.cpu(), sizes)
    return list(zip(*parts, strict=True))


def decode_features(model: SpectrogramCodec, codes: NDArray[np.integer[Any]], speaker_index: int) -> Iterator[Tensor]:
    """Decode codes [K, T] (-1: none) in blocks: yields features [F, t], [F, 2 T] in all with 2 frames per code.

    Each block is decoded with the decoder's margin of codes on both sides. Measured on 112 s of speech with the paper's
    model after 3000 steps: blocks with a margin of 4 s differ from the whole by at most 7e-7 (2 s: 9e-5).
    """
    return chain.from_iterable(decode_each(model, [(codes, speaker_index)]))


def decode_each(
    model: SpectrogramCodec, several: Iterable[tuple[NDArray[np.integer[Any]], int]]
) -> Iterator[Iterator[Tensor]]:
    """As `decode_features`, of each of several (codes, speaker index); blocks on the CPU, to be taken before the next.

    What is decoded together has equally many codebooks.
    """
    device, per_code = next(model.parameters()).device, model.features.frames_per_code
    every = in_batches(
        several,
        lambda each: _codes_windows(*each, margin=model.decoder.margin),
        partial(_decoded, model, device),
        shape=lambda window: (len(window.codes), per_code * window.codes.shape[1]),
        frames=frames_at_once(str(device), on_cpu=_DECODED),
    )
    for _, blocks in every:
        yield (features for _, features in blocks)


def _codes_windows(codes: NDArray[np.integer[Any]], speaker_index: int, *, margin: int) -> Iterator[_CodesWindow]:
    indices = torch.from_numpy(codes.astype(np.int64))
    total = indices.shape[1]
    length = min(total, _DECODER_CODES + 2 * margin)  # equal for all windows: nothing is padded
    for begin in range(0, total, _DECODER_CODES):
        start = min(max(0, begin - margin), total - length)
        stop = min(total, begin + _DECODER_CODES)
        yield _CodesWindow(indices[:, start : start + length], begin - start, stop - start, speaker_index)


@torch.inference_mode()
def _decoded(model: SpectrogramCodec, device: torch.device, cut: Sequence[_CodesWindow]) -> list[Tensor]:
    """The wanted features [F, t] of each window, on the CPU."""
    per_code = model.features.frames_per_code
    speakers = torch.tensor([window.speaker_index for window in cut], device=device)
    lengths = lengths_of([window.codes.shape[1] for window in cut], device)
    rows = model.decode(padded([window.codes for window in cut]).to(device), speakers, lengths).cpu()
    return [row[:, per_code * start : per_code * stop] for row, (_, start, stop, _) in zip(rows, cut, strict=True)]
