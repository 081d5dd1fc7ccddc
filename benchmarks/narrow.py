"""Live coding of 8 kHz input, as radios give it: quality beside that of 16 kHz, and beside Codec 2."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

import sqcodec
from benchmarks.scores import Scores, scores_of
from benchmarks.speech import SAMPLE_RATE, Samples, usable_recordings
from sqcodec import StreamDecoder, StreamEncoder
from sqcodec.pipeline.measuring.codecs import Codec2UnderTest
from sqcodec.resampling import resample

NARROW = 8000  # Hz
BIT_RATES = (800, 1600, 3200)


def report(model: str, folder: Path, *, number: int, seconds: float) -> Iterator[str]:
    """Lines of a table in Markdown. The reference of 8 kHz input is that input, so what it lacks is not counted.

    Codec 2 is left out where its programs are not installed.

    Raises ModelError: no such model; CorpusError: no recordings.
    """
    codec = sqcodec.load(model, device="cpu")
    every = usable_recordings(folder)
    places = np.linspace(0, len(every) - 1, min(number, len(every))).astype(int)
    chosen = [every[at][: round(seconds * SAMPLE_RATE)] for at in places]
    wide = [sound for sound in chosen if np.abs(sound).max() > 0]
    narrow = [resample(sound, SAMPLE_RATE, NARROW) for sound in wide]
    heard_as = [resample(sound, NARROW, SAMPLE_RATE) for sound in narrow]
    yield f"{len(wide)} recordings, {sum(map(len, wide)) / SAMPLE_RATE:.0f} s"
    yield ""
    yield "| system | bit/s | input | STOI | ESTOI | PESQ wide band |"
    yield "|---|---:|---|---:|---:|---:|"
    for bit_rate in BIT_RATES:
        yield _row(model, bit_rate, "16 kHz", wide, wide, partial(_live, codec, SAMPLE_RATE, bit_rate))
        yield _row(model, bit_rate, "8 kHz", heard_as, narrow, partial(_live, codec, NARROW, bit_rate))
    for mode, bit_rate in (("1300", 1400), ("3200", 3200)) if shutil.which("c2enc") else ():
        yield _row(f"Codec 2 {mode}", bit_rate, "8 kHz", heard_as, heard_as, partial(_codec2, mode))


def _live(codec: sqcodec.Codec, rate: int, bit_rate: int, sound: Samples) -> Samples:
    encoder, decoder = StreamEncoder(codec, bitrate=bit_rate, sample_rate=rate), StreamDecoder(codec, sample_rate=rate)
    packets = [*encoder.push(sound), *encoder.flush()]
    heard = np.concatenate([*map(decoder.push, packets), decoder.flush()])
    return heard if rate == SAMPLE_RATE else resample(heard, rate, SAMPLE_RATE)


def _codec2(mode: str, sound: Samples) -> Samples:
    return Codec2UnderTest(mode).encode_decode(sound, None).sound


def _row(
    name: str,
    bit_rate: int,
    what: str,
    references: list[Samples],
    inputs: list[Samples],
    code: Callable[[Samples], Samples],
) -> str:
    pairs = zip(references, inputs, strict=True)
    mean = Scores(*np.mean([scores_of(reference, code(sound)) for reference, sound in pairs], axis=0).tolist())
    return f"| {name} | {bit_rate} | {what} | {mean.stoi:.3f} | {mean.estoi:.3f} | {mean.pesq:.2f} |"
