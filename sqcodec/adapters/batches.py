"""Batches of tensors, as the interfaces of others have them: signals [B, T] at the codec's rate, codes [B, K, N]."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqcodec import Codec
from sqcodec.features.mel import features_of
from sqcodec.recording import ArrayRecording

if TYPE_CHECKING:
    from torch import Tensor


def encode_batch(codec: Codec, signals: "Tensor", lengths: "Tensor | None", codebooks: int | None) -> "Tensor":
    """Codes [B, K, N] int64; 0 behind the end of a signal. lengths: [B], relative to T; None: all are whole."""
    counts = _counts(lengths, *signals.shape)
    coded = codec.encode(
        [signal[:count] for signal, count in zip(signals, counts, strict=True)], codec.sample_rate, codebooks=codebooks
    )
    return _padded([codes.indices.astype(np.int64) for codes in coded], signals)


def decode_batch(codec: Codec, codes: "Tensor", lengths: "Tensor | None") -> "Tensor":
    """Signals [B, T] float32 of codes [B, K, N]; 0 behind the end. lengths: [B], relative to the signals' T, as of
    `encode_batch`; None: all are whole."""
    counts = [codes.shape[2]] * len(codes) if lengths is None else _code_counts(codec, codes, lengths)
    return _padded(codec.decode([item[:, :count] for item, count in zip(codes, counts, strict=True)]), codes)


def latents_batch(codec: Codec, signals: "Tensor", lengths: "Tensor | None") -> "Tensor":
    """The encoder's output [B, H, N] float32, before it is quantised; as `encode_batch`."""
    counts = _counts(lengths, *signals.shape)
    return _padded(
        [_latents(codec, signal[:count].numpy(force=True)) for signal, count in zip(signals, counts, strict=True)],
        signals,
    )


def codeword_sums(codec: Codec, codes: "Tensor") -> "Tensor":
    """What codes [B, K, N] stand for: the sums of their codewords [B, H, N] float32."""
    import torch

    words = torch.from_numpy(codec.embeddings()).to(codes.device)
    return torch.stack([words[book][codes[:, book]] for book in range(codes.shape[1])]).sum(0).mT


def _latents(codec: Codec, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    statistics, features = features_of(ArrayRecording(samples, codec.sample_rate), codec.features)
    frames = codec.features.frame_count(statistics.samples)
    return np.concatenate([block.latents for block in codec.engine.encode(features, frames, codebooks=1)]).T


def _counts(lengths: "Tensor | None", items: int, longest: int) -> list[int]:
    if lengths is None:
        return [longest] * items
    return [min(longest, max(1, round(length * longest))) for length in lengths.tolist()]


def _code_counts(codec: Codec, codes: "Tensor", lengths: "Tensor") -> list[int]:
    """Codes of each item. Signals of some lengths T have as many as the longest; of the counts that an item may have
    with them the greatest is taken, but where its last code is zeros, as behind the end of a signal."""
    longest, step = codes.shape[2], codec.features.samples_per_code
    last = step * longest - codec.features.hop_length // 2  # samples of the longest at most; see `frame_count`
    counts = []
    for item, length in zip(codes, lengths.tolist(), strict=True):
        least, most = (
            min(longest, codec.features.code_count(max(1, round(length * samples)), codec.sample_rate))
            for samples in (last - step + 1, last)
        )
        counts.append(most if most == least or item[:, most - 1].any() else least)
    return counts


def _padded(arrays: list[NDArray[np.int64]] | list[NDArray[np.float32]], like: "Tensor") -> "Tensor":
    """Arrays [..., n] as one tensor [B, ..., longest n], with 0 behind each end, on the device of `like`."""
    import torch

    longest = max(array.shape[-1] for array in arrays)
    rows = [np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, longest - array.shape[-1])]) for array in arrays]
    return torch.from_numpy(np.stack(rows)).to(like.device)
