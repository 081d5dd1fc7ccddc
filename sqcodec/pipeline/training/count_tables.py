"""The verb `tables`: count the codes of a training set and write entropy tables into the model file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.bitstream.entropy_tables import Tables, count
from sqcodec.corpus.store import FeatureStore, StoreRow, StoreSplit, open_store
from sqcodec.errors import CorpusError, ModelError
from sqcodec.model.blockwise import encode_features
from sqcodec.model.model_file import add_tables, load_model
from sqcodec.model.model_header import no_codes, read_header
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.finding.models import resolve

_FRAMES = 4_000_000  # 11 hours, 2 million codes per codebook; of a larger set, evenly spaced utterances are counted


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What `make_tables` did. bits: per code of `split`, over all codebooks: fixed width, order 0 and order 1."""

    path: Path
    codes: int
    split: str
    bits: tuple[float, float, float]


def make_tables(model: str, features: Path, *, split: str, out: Path | None, device: str) -> Counted:
    """Count the training codes of a model on the store in `features`, measure on `split`, write to `out` or in place.

    Raises ModelError: no such model, or one with tables already; CorpusError: no store, or it has no such split.
    """
    path = resolve(model)
    if read_header(path).tables and out is None:
        raise ModelError(f"{path}: has entropy tables, which files may have been written with; name a copy with `out`")
    store, place = open_store(features), find_device(device)
    codec = load_model(path, place)
    if not codec.quantizer.codebooks:
        raise no_codes(path)
    _check(store, codec, split)
    tables = count_tables(codec, store.splits["train"], place)
    add_tables(path, out or path, tables.to_arrays(), tables.digest)
    codes = sum(int(book.counts.sum()) for book in tables.books)
    return Counted(path=out or path, codes=codes, split=split, bits=_bits(codec, tables, store.splits[split], place))


def _check(store: FeatureStore, codec: SpectrogramCodec, split: str) -> None:
    if store.features != codec.features:
        raise CorpusError(
            f"{store.folder} holds {store.features.name} features, the model expects {codec.features.name};"
            " prepare the corpus with its recipe"
        )
    if missing := {"train", split} - store.splits.keys():
        raise CorpusError(f"{store.folder} has no split {missing.pop()!r}, it has {', '.join(store.splits)}")


def count_tables(codec: SpectrogramCodec, split: StoreSplit, device: torch.device) -> Tables:
    """The tables of the codes that `encode` would make of a split."""
    book = codec.quantizer
    return count((codes for _, codes in codes_of(codec, split, device)), (book.codewords,) * book.codebooks)


def codes_of(
    codec: SpectrogramCodec, split: StoreSplit, device: torch.device
) -> Iterator[tuple[StoreRow, NDArray[np.uint16]]]:
    """The utterances (evenly spaced ones of a very large split) and their codes [K, T]."""
    every = -(-sum(row.frames for row in split.rows) // _FRAMES)
    for row in split.rows[:: max(1, every)]:
        stored = torch.from_numpy(split.features_of(row))
        pieces = [codes.numpy() for _, codes in encode_features(codec, [stored], row.frames, device)]
        yield row, np.concatenate(pieces, axis=1).astype(np.uint16)


def _bits(
    codec: SpectrogramCodec, tables: Tables, split: StoreSplit, device: torch.device
) -> tuple[float, float, float]:
    every = [codes for _, codes in codes_of(codec, split, device)]
    number = sum(codes.size for codes in every)
    fixed = float(np.mean([(size - 1).bit_length() for size in tables.codewords]))
    plain, context = (sum(tables.bits(codes, order) for codes in every) / number for order in (0, 1))
    return fixed, plain, context
