"""WORLD parameters of the recordings of a store: computed once, in parallel, kept in the store's folder."""

import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import repeat
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from sqcodec.corpus.store import FeatureStore, StoreRow, StoreSplit
from sqcodec.errors import TrainingError
from sqcodec.processors import usable_processors
from sqcodec.spectrogram import FeatureConfig
from sqcodec.train.kept_arrays import read_arrays, write_arrays
from sqcodec.vocoder.world import analyse

_Values = NDArray[np.float32]


def chosen_rows(split: StoreSplit, minutes: float, frame_rate: float) -> list[StoreRow]:
    """Every n-th utterance of a split, n the least with which they last no longer than `minutes` (one at least)."""
    every, most = 1, minutes * 60 * frame_rate
    while every < len(split.rows) and sum(row.frames for row in split.rows[::every]) > most:
        every += 1
    return list(split.rows[::every])


def world_targets(store: FeatureStore, rows: Sequence[StoreRow], *, envelope: int) -> list[_Values]:
    """For each of the rows of the training split [T, 1 + n + a]: F0 in Hz (0: unvoiced), coded envelope and
    aperiodicity, all of the recording divided by its gain, as it lies in the store.

    All processors work on what `<store>/train/world-<n>.npz` does not hold yet.
    """
    path = store.folder / "train" / f"world-{envelope}.npz"
    known = read_arrays(path) if path.is_file() else {}
    missing = [row for row in rows if row.name not in known]
    if missing:
        analysed = _in_processes(store, missing, envelope)
        known |= {row.name: values for row, values in zip(missing, analysed, strict=True)}
        write_arrays(path, known)
    return [known[row.name] for row in rows]


def _in_processes(store: FeatureStore, rows: Sequence[StoreRow], envelope: int) -> list[_Values]:
    """Raises TrainingError: a process ended early."""
    split = store.splits["train"]
    sounds, frames = (split.sound(row) for row in rows), (row.frames for row in rows)
    no_traceback = signal.SIGINT, signal.SIG_DFL  # Ctrl-C goes to every process
    processes = min(usable_processors(), len(rows))
    try:
        with ProcessPoolExecutor(processes, get_context("spawn"), signal.signal, no_traceback) as pool:
            return list(pool.map(_analysed, sounds, repeat(store.features), frames, repeat(envelope)))
    except BrokenProcessPool:
        raise TrainingError("WORLD analysis: one of its processes ended early (out of memory?)") from None


def _analysed(sound: NDArray[np.float32], config: FeatureConfig, frames: int, envelope: int) -> _Values:
    f0, coded, aperiodicity = analyse(sound, config, envelope=envelope)
    values = np.concatenate([f0[:, None], coded, aperiodicity], axis=1).astype(np.float32)
    return np.concatenate([values, values[-1:]])[:frames]  # WORLD may have one frame less than the features
