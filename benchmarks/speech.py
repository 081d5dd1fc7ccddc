"""The recordings that are measured with."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.folder import find_recordings
from sqcodec.errors import CorpusError

Samples = NDArray[np.float32]
SAMPLE_RATE = 16000  # Hz, of everything that is measured
TINY = Path(__file__).resolve().parent.parent / "recipes" / "tiny" / "speech"


def recordings(folder: Path, *, every: int = 1) -> list[Samples]:
    """Each `every`-th recording below a folder, in the order of their names, mono at 16 kHz."""
    return [AudioSource(path).read(SAMPLE_RATE) for path in list(find_recordings(folder).values())[::every]]


def usable_recordings(folder: Path) -> list[Samples]:
    """The first hundred recordings that are not silent and last half a second or more."""
    kept = [x for x in recordings(folder)[:100] if len(x) >= SAMPLE_RATE // 2 and np.abs(x).max() > 0]
    if not kept:
        raise CorpusError(f"{folder}: got no recordings of at least 0.5 s that are not silent")
    return kept
