"""The paper's protocol on a split of the store: whole files, true speakers, hard codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.corpus.store import StoreRow, StoreSplit
from sqcodec.errors import TrainingError
from sqcodec.metrics.codebook_usage import count_codes
from sqcodec.metrics.mel_error import SquaredError, squared_error
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.quantizers.quantizer import Quantized
from sqcodec.spectrogram import FeatureConfig


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """mse in dB^2.

    counts: occurrences of each codeword in each codebook, [K, V] int64. For a target of classes, accuracy is the
    fraction of values whose class is right; clipped is the fraction beyond the lowest or highest class.
    """

    mse: float
    counts: Tensor
    accuracy: float | None
    clipped: float | None
    utterances: int
    frames: int
    left_out: int


class Decoded(NamedTuple):
    """One utterance: source features [F, T] that are scored, what they became [F, T], quantised, raw decoder output."""

    source: Tensor
    features: Tensor
    quantized: Quantized
    raw: Tensor


def evaluate(codec: SpectrogramCodec, split: StoreSplit, device: torch.device) -> Evaluation:
    """Reconstruct each utterance of a seen speaker and score frames 1 to T - 2.

    T is the number of frames that librosa gives, without those at the end that fill no whole code.

    Utterances of speakers that the model has not seen, or shorter than 4 frames, are left out and counted.
    Raises TrainingError: none is left.
    """
    rows, classes = scored_rows(codec, split), codec.classes
    quantizer, error = codec.quantizer, SquaredError()
    counts = torch.zeros(quantizer.codebooks, quantizer.codewords, dtype=torch.int64)
    right, clipped = 0, 0
    for utterance in decoded(codec, split, rows, device):
        error += squared_error(utterance.source, utterance.features)
        counts += count_codes(utterance.quantized.codes, quantizer.codewords).cpu()
        if classes:
            right += int((classes.of(utterance.features) == classes.of(utterance.source)).sum().item())
            clipped += classes.clipped(utterance.source)
    return Evaluation(
        mse=error.db2(codec.features.decibels_per_unit),
        counts=counts,
        accuracy=right / error.values if classes else None,
        clipped=clipped / error.values if classes else None,
        utterances=len(rows),
        frames=error.values // codec.features.n_mels,
        left_out=len(split.rows) - len(rows),
    )


def reconstruct_some(
    codec: SpectrogramCodec, split: StoreSplit, device: torch.device, number: int
) -> list[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Name, source [F, T] and reconstruction [F, T] of the first `number` utterances that `evaluate` scores."""
    rows = scored_rows(codec, split)[:number]
    utterances = decoded(codec, split, rows, device)
    return [
        (row.name, utterance.source.cpu().numpy(), utterance.features.cpu().numpy())
        for row, utterance in zip(rows, utterances, strict=True)
    ]


def scored_rows(codec: SpectrogramCodec, split: StoreSplit) -> list[StoreRow]:
    """Utterances of seen speakers with 4 frames or more. Raises TrainingError: there are none."""
    rows = [row for row in split.rows if codec.knows(row.speaker) and _scored_frames(row, codec.features) >= 4]
    if not rows:
        raise TrainingError(
            "no utterance of the evaluation split has a speaker that the model was trained on and at least 4 frames;"
            " set train.evaluate_split to a split of seen speakers"
        )
    return rows


def decoded(
    codec: SpectrogramCodec,
    split: StoreSplit,
    rows: list[StoreRow],
    device: torch.device,
    draw: torch.Generator | None = None,
) -> Iterator[Decoded]:
    """Each row coded and decoded with its true speaker: by the nearest codewords, or by drawn ones from `draw`."""
    training = codec.training
    codec.eval()
    for row in rows:
        stored = split.features_of(row, frames=_scored_frames(row, codec.features))
        features = torch.from_numpy(stored).to(device)
        with torch.inference_mode():
            encoded = codec.encoder(features[None])
            quantized = codec.quantizer.draw(encoded, draw) if draw else codec.quantizer(encoded, 1.0)
            speaker = torch.tensor([codec.speaker_index(row.speaker)], device=device)
            raw = codec.decoder(quantized.z_q, speaker)
            yield Decoded(features[:, 1:-1], codec.likelihood.features(raw)[0], quantized, raw)
    codec.train(training)


def _scored_frames(row: StoreRow, config: FeatureConfig) -> int:
    return 2 + (row.samples // config.hop_length - 1) // config.frames_per_code * config.frames_per_code
