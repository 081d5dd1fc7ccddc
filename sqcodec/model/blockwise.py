"""Run a codec's networks in blocks with context: memory does not grow with the length of the recording."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec import windows
from sqcodec.model.spectrogram_codec import SpectrogramCodec

_DECODER_CODES = 500  # codes per decoder window, without the margins
_BATCH = 8  # windows decoded together: a recurrent layer takes hardly longer for eight rows than for one


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
    *,
    codebooks: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Encode a recording given in blocks of features [F, t]: yields (features [F, t], codes [K, t / 2]), on the CPU.

    frames: length of the recording. codebooks: how many to use; None: all. 2 stands for the frames per code. The last
    frame is repeated up to a whole code.
    """
    for part, latents in encode_latents(model, features, frames, device):
        yield part, model.quantizer.encode(latents[None], codebooks)[0].cpu()


@torch.inference_mode()
def encode_latents(
    model: SpectrogramCodec, features: Iterable[Tensor], frames: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `encode_features`: (features [F, t], the encoder's output [t / 2, channels] on the device)."""
    per_code = model.features.frames_per_code
    cut = windows.encoder_windows(features, frames, per_code=per_code, margin=model.encoder.margin)
    for window, start, stop in cut:
        latents = model.encoder(window[None].to(device), None)[0]
        yield window[:, 1 + start : 1 + stop], latents[start // per_code : stop // per_code]


def decode_features(model: SpectrogramCodec, codes: NDArray[np.integer[Any]], speaker_index: int) -> Iterator[Tensor]:
    """Decode codes [K, T] (-1: none) in blocks: yields features [F, t], [F, 2 T] in all with 2 frames per code.

    Each block is decoded with the decoder's margin of codes on both sides. Measured on 112 s of speech with the paper's
    model after 3000 steps: blocks with a margin of 4 s differ from the whole by at most 7e-7 (2 s: 9e-5).
    """
    device, per_code = next(model.parameters()).device, model.features.frames_per_code
    indices, speaker = torch.from_numpy(codes.astype(np.int64)), torch.tensor([speaker_index], device=device)
    total, margin = indices.shape[1], model.decoder.margin
    length = min(total, _DECODER_CODES + 2 * margin)  # equal for all windows: they are stacked to a batch
    begins = range(0, total, _DECODER_CODES)
    for group in (begins[first : first + _BATCH] for first in range(0, len(begins), _BATCH)):
        starts = [min(max(0, begin - margin), total - length) for begin in group]
        windows = torch.stack([indices[:, start : start + length] for start in starts]).to(device)
        decoded = model.decode(windows, speaker.expand(len(windows)))
        for window, begin, start in zip(decoded, group, starts, strict=True):
            first, stop = begin - start, min(total, begin + _DECODER_CODES) - start
            yield window[:, per_code * first : per_code * stop]
