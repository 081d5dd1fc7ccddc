"""Sound files as the verbs write them: formats by suffix, samples limited to full scale, blocks of any length."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.corpus.audio import RAW_SUBTYPES, RawEncoding

SOUND_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
_CHUNK = 1 << 16  # samples written at once


class Written(NamedTuple):
    """Number of samples of a sound file, and how many of them were clipped to -1 to 1."""

    samples: int
    clipped: int


def sound_format(target: Path, raw: RawEncoding | None) -> tuple[str, str]:
    """libsndfile's names of file format and sample format. A pipe gets a WAV."""
    return ("RAW", RAW_SUBTYPES[raw]) if raw else SOUND_FORMATS.get(target.suffix.lower(), SOUND_FORMATS[".wav"])


def write_sound(path: Path, blocks: Iterable[NDArray[np.float32]], rate: int, form: tuple[str, str]) -> Written:
    """Write blocks [n] at `rate` (Hz). form: libsndfile's names of file format and sample format."""
    kind, subtype = form
    samples = clipped = 0
    endian = "LITTLE" if kind == "RAW" else "FILE"
    with soundfile.SoundFile(path, "w", rate, 1, format=kind, subtype=subtype, endian=endian) as file:
        for block in blocks:
            clipped += int((np.abs(block) > 1.0).sum())
            samples += len(block)
            for start in range(0, len(block), _CHUNK):  # libsndfile's Vorbis overflows the stack on long blocks
                file.write(np.clip(block[start : start + _CHUNK], -1.0, 1.0))
    return Written(samples, clipped)


def clipping_note(result: Written, where: str) -> str:
    """The note on clipped samples; "" if there are none."""
    if not result.clipped:
        return ""
    return f"{where}: {result.clipped} of {result.samples} samples were beyond full scale and were clipped"
