"""Rows about corpora: hours of speech in an hour of CPU, of files of 3, 10 and 30 s, with the model that ships."""

from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

import sqcodec
from benchmarks.speech import SAMPLE_RATE, usable_recordings
from benchmarks.timing import Figures, Setting, usage

SHIPPED = Path(sqcodec.__file__).parent / "models" / "speech16k"
SECONDS = 60  # of speech in a list
LENGTHS = (3, 10, 30)  # seconds of a file


def lists(setting: Setting, *, verb: Literal["encode", "decode"], length: int) -> Figures:
    """A list of files of `length` seconds through `Codec.encode` or `decode`, in CPU time; a first one warms up."""
    speech = np.resize(np.concatenate(usable_recordings(setting.speech)), SECONDS * SAMPLE_RATE)
    files = np.split(speech, SECONDS // length)
    codec = sqcodec.load(SHIPPED, device="cpu")
    codes = codec.encode(files, SAMPLE_RATE)
    codec.decode(codes[:1])
    verbs = {"encode": lambda: codec.encode(files, SAMPLE_RATE), "decode": lambda: codec.decode(codes)}
    figures = [SECONDS / usage(verbs[verb]).cpu for _ in range(setting.runs)]
    return Figures(f"{verb} a list of files of {length} s at 1600 bit/s: hours of speech", "an hour of CPU", figures)


ROWS = {
    f"{verb}-{length}s": partial(lists, verb=verb, length=length) for verb in ("encode", "decode") for length in LENGTHS
}
