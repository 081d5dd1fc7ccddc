"""A feature store as a codec returns it: what a vocoder is fine-tuned on."""

import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.corpus.store import FeatureStore, StoreRow, StoreSplit
from sqcodec.errors import ModelError, TrainingError
from sqcodec.model.blockwise import with_context
from sqcodec.model.model_file import load_model
from sqcodec.model.model_header import no_codes
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.storage import file_digest, written


def coded_store(
    store: FeatureStore, model: Path, folder: Path, device: torch.device, *, evaluate_split: str
) -> tuple[FeatureStore, str]:
    """The store with each utterance's features coded and decoded, and the codec's fingerprint.

    A codec of K codebooks uses 1 to K per utterance, uniform, chosen by a hash of its name.
    Decoded features are kept in `folder` and used again. Utterances of speakers that the codec does not know are left
    out. Raises ModelError: no such codec, or one for other features; TrainingError: it knows none of the speakers of
    the training split, or of `evaluate_split`.
    """
    codec = codec_for(store, model, device)
    known = {name: split for name, split in store.splits.items() if _known(split, codec)}
    if "train" not in known:
        raise no_known_speaker(model)
    if evaluate_split not in known:
        raise TrainingError(
            f"{model}: knows no speaker of the store's split {evaluate_split!r}; set vocoder.train.evaluate_split to"
            f" one whose speakers it knows ({', '.join(known)})"
        )
    folder.mkdir(parents=True, exist_ok=True)
    made_from = f"{store.digest[:12]}-{file_digest(model)}"  # of another store or codec, others are made
    splits = {name: _coded(split, codec, folder / f"{name}-{made_from}.npy") for name, split in known.items()}
    return replace(store, splits=splits), codec.fingerprint


def no_known_speaker(model: Path) -> TrainingError:
    """The error where a model knows none of the speakers that it is to learn from."""
    return TrainingError(f"{model}: knows no speaker of the store's training split; choose the store it was trained on")


def codec_for(store: FeatureStore, model: Path, device: torch.device) -> SpectrogramCodec:
    """The codec that is to code a store. Raises ModelError: no such codec, a plain VAE, or one for other features."""
    codec = load_model(model, device)
    if not codec.quantizer.codebooks:
        raise no_codes(model)
    if codec.features != store.features:
        raise ModelError(
            f"{model}: codes {codec.features.name} features, got a store of {store.features.name}; choose the store it"
            " was trained on, or another codec"
        )
    return codec


def _known(split: StoreSplit, codec: SpectrogramCodec) -> tuple[StoreRow, ...]:
    return tuple(row for row in split.rows if codec.knows(row.speaker))


def _coded(split: StoreSplit, codec: SpectrogramCodec, path: Path) -> StoreSplit:
    rows = _known(split, codec)
    if not path.is_file():
        form = {"descr": "<f2", "fortran_order": False, "shape": split.features.shape}
        unknown = np.zeros((1, split.features.shape[1]), np.float32)
        with written(path, error=TrainingError) as draft, draft.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, form)  # open_memmap would end the process on a full disk
            for row in split.rows:
                known = codec.knows(row.speaker)
                decoded = reconstructed(split, row, codec) if known else unknown.repeat(row.frames, axis=0)
                file.write(decoded.astype("<f2").tobytes())
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
        if features.shape != split.features.shape:
            raise ValueError(f"shape {features.shape}, expected {split.features.shape}")
    except (OSError, EOFError, ValueError) as error:
        raise TrainingError(f"{path}: damaged, or of another store ({error}); remove it, it is made anew") from None
    return StoreSplit(features=features, audio=split.audio, rows=rows)


def reconstructed(split: StoreSplit, row: StoreRow, codec: SpectrogramCodec) -> NDArray[np.float32]:
    """Features [T, F] of one utterance, coded and decoded with its true speaker; its name decides on the codebooks."""
    device = next(codec.parameters()).device
    padded = with_context(codec, torch.from_numpy(split.features_of(row)).to(device))
    speaker = torch.tensor([codec.speaker_index(row.speaker)], device=device)
    codebooks = 1 + zlib.crc32(os.fsencode(row.name)) % codec.quantizer.codebooks
    decoded = codec.decode(codec.encode(padded[None], codebooks=codebooks), speaker)[0, :, : row.frames]
    array: NDArray[np.float32] = decoded.T.cpu().numpy()
    return array
