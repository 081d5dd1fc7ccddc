"""Copies of training recordings that are lowered, raised, band-limited, or in noise and rooms.

A codec hears few low voices, telephones and noises in read speech. What is drawn for a recording depends on its name,
the shares and the folders alone, not on the other recordings.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.recordings import files_below
from sqcodec.corpus.splits import Manifest, Utterance, Variation
from sqcodec.errors import AudioError, CorpusError
from sqcodec.resampling import resample

_SPLIT = "train"
_FACTORS = {"lowered": (0.7, 0.9), "raised": (1.1, 1.3)}  # of pitch and formants
_RATIO = (5.0, 25.0)  # dB, of the speech over the noise
_IN_ROOMS = 0.5  # of the copies in noise
_TELEPHONE = 8000  # Hz
_LONGEST_ROOM = 2.0  # seconds of an impulse response
_SILENCE = 1e-6  # root mean square of a noise, or norm of an impulse response

Samples = NDArray[np.float32]


def with_variations(
    manifest: Manifest, shares: Mapping[str, float], *, noise: str | None, rooms: str | None
) -> Manifest:
    """The manifest with the copies of its training recordings, named `NAME~KIND`; a voice that is lowered or raised is
    another speaker, `SPEAKER~KIND`.

    shares: of the training recordings, by kind. noise, rooms: folders of noises and of impulse responses; None: none.
    Raises CorpusError: a folder of noises or rooms without recordings, or a recording with the name of a copy.
    """
    noises, impulses = _recordings(noise, "noise"), _recordings(rooms, "rooms")
    copies = [
        _copy(utterance, variation)
        for utterance in manifest.utterances
        if utterance.split == _SPLIT and (variation := _drawn(utterance.name, shares, noises, impulses))
    ]
    taken = {utterance.name: utterance.path for utterance in manifest.utterances}
    for copy in copies:
        if copy.name in taken:
            raise CorpusError(f"{taken[copy.name]}: has the name of a copy of {copy.path}; rename one of the two")
    counts = Counter(copy.variation.kind for copy in copies if copy.variation)
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in shares if counts[kind])
    remark = f"{_SPLIT}: {len(copies)} utterances are copies{f' ({kinds})' if kinds else ''}"
    return replace(manifest, utterances=(*manifest.utterances, *copies), remarks=(*manifest.remarks, remark))


def read_varied(source: AudioSource, rate: int, variation: Variation) -> Samples:
    """The recording [N] at `rate` (Hz), changed; lowered it is longer, raised shorter.

    Raises AudioError: it, its noise or its impulse response cannot be read, or the latter is silent.
    """
    match variation.kind:
        case "telephone":
            return resample(source.read(_TELEPHONE), _TELEPHONE, rate)
        case "noisy":
            return _in_noise(source.read(rate), rate, variation)
        case _:  # as if its rate were another, so that what lies above rate / 2 in the file fills the band
            return source.read(round(rate / variation.factor))


def mixed(sound: Samples, noise: NDArray[np.floating], ratio: float) -> Samples:
    """With noise [N] at a power `ratio` dB below the sound's."""
    scale = np.sqrt(np.square(sound).mean() / np.square(noise).mean()) * 10 ** (-ratio / 20)
    both: Samples = (sound + scale * noise).astype(np.float32)
    return both


def _copy(utterance: Utterance, variation: Variation) -> Utterance:
    speaker = f"{utterance.speaker}~{variation.kind}" if variation.kind in _FACTORS else utterance.speaker
    return replace(utterance, name=f"{utterance.name}~{variation.kind}", speaker=speaker, variation=variation)


def _drawn(name: str, shares: Mapping[str, float], noises: Sequence[Path], rooms: Sequence[Path]) -> Variation | None:
    random = np.random.default_rng(list(hashlib.sha256(name.encode(errors="surrogateescape")).digest()))
    kind = _kind(random.random(), shares)
    if kind is None:
        return None
    if kind != "noisy":
        return Variation(kind, factor=random.uniform(*_FACTORS.get(kind, (1.0, 1.0))))
    noise, ratio, position = _one_of(noises, random), random.uniform(*_RATIO), random.random()
    room = _one_of(rooms, random) if rooms and random.random() < _IN_ROOMS else None
    return Variation(kind, ratio=ratio, noise=noise, position=position, room=room)


def _one_of(paths: Sequence[Path], random: np.random.Generator) -> str:
    return str(paths[int(random.integers(len(paths)))])


def _kind(drawn: float, shares: Mapping[str, float]) -> str | None:
    for kind, share in shares.items():
        if drawn < share:
            return kind
        drawn -= share
    return None


def _recordings(folder: str | None, key: str) -> list[Path]:
    """Absolute, since a worker may have another working folder."""
    if folder is None:
        return []
    root, wanted = Path(folder), f"a folder with .wav, .flac, ...; set corpus.variations.{key} to one"
    if not root.is_dir():
        raise CorpusError(f"{folder}: got {'a file' if root.exists() else 'nothing'}, expected {wanted}")
    found = [path.absolute() for path in files_below(root)]
    if not found:
        raise CorpusError(f"{folder}: got no recordings, expected {wanted}")
    return found


def _in_noise(samples: Samples, rate: int, variation: Variation) -> Samples:
    """The noise begins anywhere in its recording and goes on from its beginning; a silent one adds nothing."""
    assert variation.noise is not None
    if variation.room:
        samples = _in_room(samples, rate, Path(variation.room))
    whole = AudioSource(Path(variation.noise)).read(rate)
    noise = np.resize(np.roll(whole, -int(variation.position * len(whole))), len(samples))
    return samples if np.sqrt(np.square(noise).mean()) < _SILENCE else mixed(samples, noise, variation.ratio)


def _in_room(samples: Samples, rate: int, room: Path) -> Samples:
    """From the direct sound on, so that nothing is late; of the same energy on average."""
    response = AudioSource(room).read(rate)
    response = response[np.abs(response).argmax() :][: round(_LONGEST_ROOM * rate)]
    norm = np.sqrt(np.square(response).sum())
    if norm < _SILENCE:
        raise AudioError(f"{room}: silent: got a norm of {norm:.1e}, expected an impulse response; leave it out")
    wet: Samples = (fftconvolve(samples, response)[: len(samples)] / norm).astype(np.float32)
    return wet
