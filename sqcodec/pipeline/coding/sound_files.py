"""Sound files as the verbs write them: formats by suffix, samples limited to full scale, blocks of any length."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.corpus.audio import RAW_SUBTYPES, RawEncoding
from sqcodec.errors import SqcodecError
from sqcodec.stamps import Stamp

SOUND_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
_MOST_OF_WAV = (2**32 - 1 - 36) // 2  # samples of 16 bits: a header of 32 bits counts the bytes behind its first 8
_MOST_OF_VORBIS = 200_000  # Hz
_CHUNK = 1 << 16  # samples written at once


class Written(NamedTuple):
    """Number of samples of a sound file, and how many of them were clipped to -1 to 1. stamp: of the file, where it is
    known."""

    samples: int
    clipped: int
    stamp: Stamp | None = None


def sound_format(target: Path, raw: RawEncoding | None) -> tuple[str, str]:
    """libsndfile's names of file format and sample format. A pipe gets a WAV."""
    return ("RAW", RAW_SUBTYPES[raw]) if raw else SOUND_FORMATS.get(target.suffix.lower(), SOUND_FORMATS[".wav"])


def write_sound(
    path: Path, blocks: Iterable[NDArray[np.float32]], rate: int, form: tuple[str, str], *, expected: int = 0
) -> Written:
    """Write blocks [n] at `rate` (Hz). form: libsndfile's names of file format and sample format. expected: samples, as
    far as is known; a WAV of 4 GiB or more is written as RF64.

    Raises SqcodecError: more samples than a WAV holds came unexpectedly.
    """
    kind, subtype = form
    if subtype == "VORBIS" and rate > _MOST_OF_VORBIS:  # libsndfile would end the process
        raise SqcodecError(f"an .ogg has {_MOST_OF_VORBIS} Hz at most, got {rate}; write a .flac, or at a lower `rate`")
    kind = "RF64" if kind == "WAV" and expected > _MOST_OF_WAV else kind
    samples = clipped = 0
    endian = "LITTLE" if kind == "RAW" else "FILE"
    with soundfile.SoundFile(os.fsencode(path), "w", rate, 1, format=kind, subtype=subtype, endian=endian) as file:
        for block in blocks:
            clipped += int((np.abs(block) > 1.0).sum())
            samples += len(block)
            if kind == "WAV" and samples > _MOST_OF_WAV:
                raise SqcodecError("the sound is longer than a WAV file holds, 4 GiB; write a .flac")
            for start in range(0, len(block), _CHUNK):  # libsndfile's Vorbis overflows the stack on long blocks
                file.write(np.clip(block[start : start + _CHUNK], -1.0, 1.0))
    return Written(samples, clipped)


def clipping_note(result: Written, where: str) -> str:
    """The note on clipped samples; "" if there are none."""
    if not result.clipped:
        return ""
    return f"{where}: {result.clipped} of {result.samples} samples were beyond full scale and were clipped"
