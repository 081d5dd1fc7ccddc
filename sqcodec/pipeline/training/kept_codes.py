"""Codes of a store are found once, for every training that learns from them: finding them takes minutes, so they are
kept in a file, and so are the first of them when it is stopped.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.context_model import ContextModel
from sqcodec.corpus.store import FeatureStore, StoreRow
from sqcodec.errors import StoppedError, TrainingError
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.training.searched_codes import codes_of_every_number, codes_of_search
from sqcodec.storage import written
from sqcodec.train.codes_at_prices import SearchedCodes
from sqcodec.train.interruption import stop_signals
from sqcodec.train.prefix_codes import PrefixCodes

Finding = Callable[[int, int], None]  # utterances whose codes are found, and all of them
Arrays = tuple[NDArray[Any], NDArray[Any]]  # of one utterance, both as long as its codes


def prefix_codes(
    codec: SpectrogramCodec, store: FeatureStore, split: str, run: Path, finding: Finding | None = None
) -> PrefixCodes:
    """The codes of all utterances of a split, of every number of stages; kept in `run`/codes.

    Raises StoppedError: asked to stop by a signal, those found are saved.
    """
    path, part = run / "codes" / f"{split}-{store.digest[:12]}-{codec.fingerprint}.npz", store.splits[split]
    again = "the same command goes on from here"
    found = _kept(
        path, ("codes", "errors"), part.rows, lambda row: [codes_of_every_number(codec, part, row)], again, finding
    )
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

    Raises StoppedError: as `prefix_codes`.
    """
    path, part = folder / f"{split}-{model.digest}.npz", store.splits[split]
    again = "the same command with `resume` goes on from here"
    found = _kept(
        path, ("codes", "stages"), part.rows, lambda row: codes_of_search(codec, part, row, model), again, finding
    )
    return SearchedCodes(*found)


def _kept(
    path: Path,
    names: tuple[str, str],
    rows: Sequence[StoreRow],
    find: Callable[[StoreRow], Iterable[Arrays]],
    again: str,
    finding: Finding | None,
) -> tuple[NDArray[Any], NDArray[Any], list[int]]:
    """Two arrays [N, ...] of all `rows`, one after the other, and the length of each piece that `find` makes."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        first = path.with_suffix(".first.npz")
        pieces, done = _read(first, names) if first.is_file() else ([], 0)
        with stop_signals() as stop:
            while done < len(rows) and not stop.is_set():
                pieces.extend(find(rows[done]))
                done += 1
                if finding:
                    finding(done, len(rows))
        _write(path if done == len(rows) else first, names, pieces, done)
        if done == len(rows):
            first.unlink(missing_ok=True)
        if stop.is_set():
            raise StoppedError(f"stopped at utterance {done} of {len(rows)}, all saved in {path.parent}; {again}")
    with np.load(path, allow_pickle=False) as kept:
        return kept[names[0]], kept[names[1]], kept["lengths"].tolist()


def _write(path: Path, names: tuple[str, str], pieces: Sequence[Arrays], rows: int) -> None:
    arrays = {name: np.concatenate(values) for name, values in zip(names, zip(*pieces, strict=True), strict=True)}
    with written(path, error=TrainingError) as draft, draft.open("wb") as file:
        lengths = np.array([len(piece) for piece, _ in pieces])
        np.savez(file, allow_pickle=False, lengths=lengths, rows=np.array(rows), **arrays)


def _read(path: Path, names: tuple[str, str]) -> tuple[list[Arrays], int]:
    with np.load(path, allow_pickle=False) as kept:
        cuts = np.cumsum(kept["lengths"])[:-1]
        one, other = (np.split(kept[name], cuts) for name in names)
        return list(zip(one, other, strict=True)), int(kept["rows"])
