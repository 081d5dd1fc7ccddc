"""Files to ship: a trained model or vocoder with weights rounded to float16."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.corpus.store import open_store
from sqcodec.errors import ModelError
from sqcodec.model.model_file import add_tables, open_model, save_model
from sqcodec.model.model_header import KIND, SHARING_FORMAT, no_codes, read_whole
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.training.count_tables import count_tables
from sqcodec.tensor_files import save_arrays
from sqcodec.vocoder import vocoder_file as vocoders
from sqcodec.vocoder.vocoder_header import read_header


def ship_model(source: Path, target: Path, features: Path, *, device: str = "auto") -> None:
    """Write the model `source` to `target` in float16, with entropy tables counted on the store in `features`.

    Rounding moves codewords, so `target` has another fingerprint: fine-tune its vocoder on it, not on `source`.
    Raises ModelError: no model, or a plain VAE; CorpusError: no store.
    """
    place = find_device(device)
    opened = open_model(source, place)
    codec = opened.codec.half().float()
    if not codec.quantizer.codebooks:
        raise no_codes(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_model(target, codec, opened.header.step, dtype=torch.float16)
    tables = count_tables(codec, open_store(features).splits["train"], place)
    add_tables(target, target, tables.to_arrays(), tables.digest)


def ship_receiver(source: Path, beside: Path, target: Path) -> None:
    """Write the model `source` to `target` without the arrays that the model file `beside` has as well.

    The two must stay side by side, in folders of one folder. Raises ModelError: the models have other codes,
    entropy tables or context models.
    """
    (tree, arrays), (other, shared) = read_whole(source), read_whole(beside)
    for key in ("fingerprint", "tables", "context"):
        if tree.get(key) != other.get(key):
            raise ModelError(
                f"{source}: {key} {tree.get(key)}, but that of {beside} is {other.get(key)}; a receiver has the codes"
                " of its neighbour"
            )
    own = {name: array for name, array in arrays.items() if not _same(array, shared.get(name))}
    target.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(target, own, tree | {"shares": beside.parent.name, "format": SHARING_FORMAT}, KIND)


def _same(array: NDArray[Any], other: NDArray[Any] | None) -> bool:
    return other is not None and array.dtype == other.dtype and np.array_equal(array, other)


def ship_vocoder(source: Path, target: Path) -> None:
    """Write the vocoder `source` to `target` in float16. Raises VocoderError: no vocoder of sqcodec."""
    header = read_header(source)
    vocoder = vocoders.load_vocoder(source, header.features)
    target.parent.mkdir(parents=True, exist_ok=True)
    vocoders.save_vocoder(
        target,
        vocoder.network,
        config=vocoders.config_of(header),
        features=header.features,
        step=header.step,
        codec=header.codec,
        dtype=torch.float16,
    )
