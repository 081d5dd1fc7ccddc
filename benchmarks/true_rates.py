"""Rows about files with the context model: the coder alone, and from file to sound, at 1600 bit/s nominal (4 stages).

A recording of 10 s is one block, whose frames follow each other; the blocks of a long one go side by side.
"""

from functools import partial

import numpy as np

import sqcodec
from benchmarks.speech import SAMPLE_RATE, usable_recordings
from benchmarks.throughput import SHIPPED
from benchmarks.timing import Figures, Setting, usage
from sqcodec.bitstream import sqc

STAGES = 4
ONE, LONG = 10, 160  # seconds: a block, and 16 of them
_AIMS = {("coder", ONE): "50", ("coder", LONG): "200", ("decode", ONE): "25", ("decode", LONG): "45"}
_WHAT = {"coder": "decode the codes of a file", "decode": "decode a file to sound"}


def speed(setting: Setting, *, what: str, seconds: int) -> Figures:
    """Seconds of speech in a second of CPU time; a first run warms up."""
    speech = np.resize(np.concatenate(usable_recordings(setting.speech)), seconds * SAMPLE_RATE)
    codec = sqcodec.load(SHIPPED, device="cpu")
    content = sqc.pack(codec.encode(speech, SAMPLE_RATE, codebooks=STAGES), codec.space, coder="context")

    def work() -> None:
        codes = sqc.unpack(content, codec.space, where="file")
        if what == "decode":
            codec.decode(codes)

    work()
    figures = [seconds / usage(work).cpu for _ in range(setting.runs)]
    text = f"{_WHAT[what]} of {STAGES} stages, context model, {seconds} s"
    return Figures(text, "times real time", figures, _AIMS[what, seconds])


ROWS = {
    f"context-{what}-{seconds}s": partial(speed, what=what, seconds=seconds)
    for what in ("coder", "decode")
    for seconds in (ONE, LONG)
}
