"""Codes of a store are found once, for every training that learns from them: finding them takes minutes, so they are
kept in a file, and now and then so are the first of them.
"""

import glob
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_model import ContextModel
from sqcodec.corpus.store import FeatureStore, StoreRow
from sqcodec.errors import StoppedError
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.training.searched_codes import codes_of_every_number, codes_of_search
from sqcodec.train.codes_at_prices import SearchedCodes
from sqcodec.train.interruption import stop_signals
from sqcodec.train.kept_arrays import read_arrays, write_arrays
from sqcodec.train.prefix_codes import PrefixCodes

_EVERY = 300.0  # seconds after which those that are found are saved

Finding = Callable[[int, int], None]  # utterances whose codes are found, and all of them
Piece = tuple[NDArray[Any], NDArray[Any]]  # of one utterance, both as long as its codes


class _Kept(NamedTuple):
    """A file of codes, `folder`/SPLIT-DIGESTS.npz, with two arrays of these names beside `lengths`."""

    folder: Path
    split: str
    digests: str
    names: tuple[str, str]

    @property
    def path(self) -> Path:
        """All of them."""
        return self.folder / f"{self.split}-{self.digests}.npz"

    @property
    def first(self) -> Path:
        """The first ones, while the others are sought."""
        return self.path.with_suffix(".first.npz")

    def remove_others(self) -> None:
        """Remove those of another codec or store: they are large, and of no use."""
        for other in self.folder.glob(f"{glob.escape(self.split)}-*.npz"):
            if other != self.path and other.name.count("-") == self.path.name.count("-"):  # not of the split SPLIT-dev
                other.unlink(missing_ok=True)


def prefix_codes(
    codec: SpectrogramCodec, store: FeatureStore, split: str, run: Path, finding: Finding | None = None
) -> PrefixCodes:
    """The codes of all utterances of a split, of every number of stages; kept in `run`/codes.

    Raises StoppedError: asked to stop by a signal, those found are saved; TrainingError: what was kept is damaged.
    """
    kept = _Kept(run / "codes", split, f"{store.digest[:12]}-{codec.sender_digest}", ("codes", "errors"))
    part = store.splits[split]
    found = _found(kept, part.rows, lambda row: [codes_of_every_number(codec, part, row)], finding)
    return PrefixCodes(*found)


def searched_codes(
    codec: SpectrogramCodec,
    store: FeatureStore,
    split: str,
    model: ContextModel,
    folder: Path,
    finding: Finding | None = None,
) -> SearchedCodes:
    """The codes of all utterances of a split by the search that counts the bits of `model`; kept in `folder`.

    Raises StoppedError and TrainingError: as `prefix_codes`.
    """
    kept, part = _Kept(folder, split, model.digest, ("codes", "stages")), store.splits[split]
    found = _found(kept, part.rows, lambda row: codes_of_search(codec, part, row, model), finding)
    return SearchedCodes(*found)


def _found(
    kept: _Kept,
    rows: Sequence[StoreRow],
    find: Callable[[StoreRow], Iterable[Piece]],
    finding: Finding | None,
) -> tuple[NDArray[Any], NDArray[Any], list[int]]:
    """Two arrays [N, ...] of all `rows`, one after the other, and the length of each piece that `find` makes."""
    if not kept.path.is_file():
        kept.folder.mkdir(parents=True, exist_ok=True)
        _find(kept, rows, find, finding)
    arrays = read_arrays(kept.path, (*kept.names, "lengths"))
    return arrays[kept.names[0]], arrays[kept.names[1]], arrays["lengths"].tolist()


def _find(
    kept: _Kept, rows: Sequence[StoreRow], find: Callable[[StoreRow], Iterable[Piece]], finding: Finding | None
) -> None:
    pieces, done = _begun(kept)
    saved = time.monotonic()
    with stop_signals() as stop:
        while done < len(rows) and not stop.is_set():
            pieces.extend(find(rows[done]))
            done += 1
            if finding:
                finding(done, len(rows))
            if done == len(rows):
                _write(kept.path, kept.names, pieces, done)
                kept.remove_others()
            elif stop.is_set() or time.monotonic() - saved > _EVERY:
                _write(kept.first, kept.names, pieces, done)
                saved = time.monotonic()
    if stop.is_set():
        raise StoppedError(
            f"stopped at utterance {done} of {len(rows)}, their codes are saved in {kept.folder}; the same command"
            " goes on from here, with `resume` where a training has begun"
        )


def _begun(kept: _Kept) -> tuple[list[Piece], int]:
    """The pieces that were found before, and of how many rows they are."""
    if not kept.first.is_file():
        return [], 0
    arrays = read_arrays(kept.first, (*kept.names, "lengths", "rows"))
    cuts = np.cumsum(arrays["lengths"])[:-1]
    one, other = (np.split(arrays[name], cuts) for name in kept.names)
    return list(zip(one, other, strict=True)), int(arrays["rows"])


def _write(path: Path, names: tuple[str, str], pieces: Sequence[Piece], rows: int) -> None:
    one, other = (np.concatenate(values) for values in zip(*pieces, strict=True))
    lengths = np.array([len(piece) for piece, _ in pieces])
    write_arrays(path, {names[0]: one, names[1]: other, "lengths": lengths, "rows": np.array(rows)})
