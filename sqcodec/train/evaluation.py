"""The paper's protocol on a split of the store: whole files, true speakers, hard codes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.corpus.store import StoreRow, StoreSplit
from sqcodec.errors import TrainingError
from sqcodec.metrics.spectral import SquaredError, squared_error
from sqcodec.metrics.usage import codewords_in_use, entropy_bits, perplexity
from sqcodec.model.codec import SpectrogramCodec
from sqcodec.values import HOP_LENGTH


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """mse in dB^2 for `paper-mel` (in squared feature units for features without a dynamic range); entropy in bits."""

    mse: float
    perplexity: float
    codewords_in_use: int
    entropy: float
    utterances: int
    frames: int
    left_out: int


def evaluate(codec: SpectrogramCodec, split: StoreSplit, device: torch.device) -> Evaluation:
    """Reconstruct each utterance of a seen speaker and score frames 1 to T - 2; T as librosa counts, odd last dropped.

    Utterances of speakers that the model has not seen, or shorter than 4 frames, are left out and counted.
    Raises TrainingError: none is left.
    """
    rows = _scored_rows(codec, split)
    error, counts = SquaredError(), torch.zeros(codec.recipe.quantizer.codewords, dtype=torch.int64)
    for features, codes, decoded in _reconstructions(codec, split, rows, device):
        error += squared_error(features[:, 1:-1], decoded)
        counts += torch.bincount(codes.flatten().cpu(), minlength=len(counts))
    return Evaluation(
        mse=error.db2(codec.features.dynamic_range or 1.0),
        perplexity=perplexity(counts),
        codewords_in_use=codewords_in_use(counts),
        entropy=entropy_bits(counts),
        utterances=len(rows),
        frames=error.values // codec.features.n_mels,
        left_out=len(split.rows) - len(rows),
    )


def reconstruct_some(
    codec: SpectrogramCodec, split: StoreSplit, device: torch.device, number: int
) -> list[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Name, source [F, T] and reconstruction [F, T] of the first `number` utterances that `evaluate` scores."""
    rows = _scored_rows(codec, split)[:number]
    made = _reconstructions(codec, split, rows, device)
    return [
        (row.name, source[:, 1:-1].cpu().numpy(), decoded.cpu().numpy())
        for row, (source, _, decoded) in zip(rows, made, strict=True)
    ]


def _scored_rows(codec: SpectrogramCodec, split: StoreSplit) -> list[StoreRow]:
    rows = [row for row in split.rows if row.speaker in codec.speakers and _scored_frames(row) >= 4]
    if not rows:
        raise TrainingError(
            "no utterance of the evaluation split has a speaker that the model was trained on and at least 4 frames;"
            " set train.evaluate_split to a split of seen speakers"
        )
    return rows


def _scored_frames(row: StoreRow) -> int:
    frames = 1 + row.samples // HOP_LENGTH
    return frames - frames % 2


def _reconstructions(
    codec: SpectrogramCodec, split: StoreSplit, rows: list[StoreRow], device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Source [F, T], codes [1, K, T / 2 - 1] and reconstruction [F, T - 2] of each row."""
    training = codec.training
    codec.eval()
    for row in rows:
        stored = split.features[row.frame : row.frame + _scored_frames(row)]
        features = torch.tensor(stored, dtype=torch.float32, device=device).T
        codes = codec.encode(features[None])
        speaker = torch.tensor([codec.speakers.index(row.speaker)], device=device)
        yield features, codes, codec.decode(codes, speaker)[0]
    codec.train(training)
