"""Copies of training recordings that are lowered, raised, band-limited, or in noise and rooms.

A codec hears few low voices, telephones and noises in read speech. What is drawn for a recording depends on its name
alone, so a corpus that grows keeps its copies.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.recordings import files_below
from sqcodec.corpus.splits import Manifest, Variation
from sqcodec.errors import CorpusError
from sqcodec.resampling import resample

SPLIT = "train"
_LOWERED, _RAISED = (0.7, 0.9), (1.1, 1.3)  # of pitch and formants
_RATIO = (5.0, 25.0)  # dB, of the speech over the noise
_IN_ROOMS = 0.5  # of the copies in noise
_TELEPHONE = 8000  # Hz
_LONGEST_ROOM = 2.0  # seconds of an impulse response
_LEAST_POWER = 1e-12  # of a noise; with less it is silence

Samples = NDArray[np.float32]


class Shares(Protocol):
    """What says how many copies there are: the recipe's `corpus.variations`."""

    noise: str | None
    rooms: str | None

    @property
    def shares(self) -> dict[str, float]:
        """Of the training recordings, by kind."""


def with_variations(manifest: Manifest, config: Shares) -> Manifest:
    """The manifest with the copies of its training recordings, named `NAME~KIND`.

    Raises CorpusError: a folder of noises or rooms without recordings.
    """
    noises, rooms = (_recordings(folder, key) for key, folder in (("noise", config.noise), ("rooms", config.rooms)))
    copies = [
        replace(utterance, name=f"{utterance.name}~{variation.kind}", variation=variation)
        for utterance in manifest.utterances
        if utterance.split == SPLIT and (variation := _drawn(utterance.name, config.shares, noises, rooms))
    ]
    return replace(manifest, utterances=(*manifest.utterances, *copies))


def vary(samples: Samples, rate: int, variation: Variation) -> Samples:
    """Samples [N] at `rate` (Hz), changed; lowered ones are longer, raised ones shorter.

    Raises AudioError: a noise or an impulse response that cannot be read.
    """
    match variation.kind:
        case "telephone":
            return resample(resample(samples, rate, _TELEPHONE), _TELEPHONE, rate)
        case "noisy":
            return _in_noise(samples, rate, variation)
        case _:
            return resample(samples, round(rate * variation.factor), rate)


def _drawn(name: str, shares: dict[str, float], noises: Sequence[Path], rooms: Sequence[Path]) -> Variation | None:
    random = np.random.default_rng(list(hashlib.sha256(name.encode(errors="surrogateescape")).digest()))
    kind = _kind(random.random(), shares)
    if kind is None:
        return None
    if kind != "noisy":
        low, high = {"lowered": _LOWERED, "raised": _RAISED}.get(kind, (1.0, 1.0))
        return Variation(kind, factor=random.uniform(low, high))
    noise, ratio = noises[int(random.integers(len(noises)))], random.uniform(*_RATIO)
    room = rooms[int(random.integers(len(rooms)))] if rooms and random.random() < _IN_ROOMS else None
    return Variation(kind, ratio=ratio, noise=str(noise), room=str(room) if room else None)


def _kind(drawn: float, shares: dict[str, float]) -> str | None:
    for kind, share in shares.items():
        if drawn < share:
            return kind
        drawn -= share
    return None


def _recordings(folder: str | None, key: str) -> list[Path]:
    """Absolute, since a worker may have another working folder."""
    if folder is None:
        return []
    found = [path.absolute() for path in files_below(Path(folder))] if Path(folder).is_dir() else []
    if not found:
        raise CorpusError(
            f"{folder}: got no recordings, expected a folder with .wav, .flac, ...; set corpus.variations.{key} to one"
        )
    return found


def _in_noise(samples: Samples, rate: int, variation: Variation) -> Samples:
    assert variation.noise is not None
    if variation.room:
        samples = _in_room(samples, rate, Path(variation.room))
    noise = np.resize(AudioSource(Path(variation.noise)).read(rate), len(samples))
    power = np.square(noise).mean()
    if power < _LEAST_POWER:
        return samples
    scale = np.sqrt(np.square(samples).mean() / power) * 10 ** (-variation.ratio / 20)
    both: Samples = (samples + scale * noise).astype(np.float32)
    return both


def _in_room(samples: Samples, rate: int, room: Path) -> Samples:
    """From the direct sound on, so that nothing is late; of the same energy on average."""
    response = AudioSource(room).read(rate)
    response = response[np.abs(response).argmax() :][: round(_LONGEST_ROOM * rate)]
    energy = np.sqrt(np.square(response).sum())
    wet: Samples = (fftconvolve(samples, response)[: len(samples)] / max(energy, _LEAST_POWER)).astype(np.float32)
    return wet
