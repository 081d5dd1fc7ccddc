"""Speech that is not read in a quiet room: what is derived from recordings, and other folders as they are.

Each sound is its own reference, noise and all: the figures say how well it is preserved, not how good it is.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import sqcodec
from benchmarks.speech import SAMPLE_RATE, Samples, usable_recordings
from sqcodec.corpus.variations import mixed
from sqcodec.errors import MetricError
from sqcodec.metrics import distillmos, dnsmos, level, pesq, pitch, stoi
from sqcodec.metrics.alignment import find_delay, remove_delay
from sqcodec.resampling import resample

_NARROW, _MU = 8000, 255
_CHORD = (220.0, 277.2, 329.6)  # Hz
_VOICES = 4  # of the babble


class Condition(NamedTuple):
    """A name, and the sounds under it."""

    name: str
    sounds: list[Samples]


def report(
    model: str, folder: Path, others: Sequence[tuple[str, Path]], *, stages: int, number: int, seconds: float
) -> Iterator[str]:
    """Lines of a table in Markdown: `number` recordings of `folder`, what is derived from them, and of each of `others`
    by name; the first `seconds` of each.

    Raises ModelError: no such model; CorpusError: no recordings.
    """
    codec = sqcodec.load(model, device="cpu")
    cut = partial(_chosen, number=number, seconds=seconds)
    rows = [*derived(cut(folder)), *(Condition(name, cut(other)) for name, other in others)]
    yield f"{model}, {stages} codebooks; means of {number} recordings a row at most, {seconds:g} s of each at most"
    yield ""
    yield "| sound | PESQ wb | ESTOI | DNSMOS | DistillMOS | gross pitch error, % | voicing error, % | level, dB |"
    yield "|---|" + "---:|" * 7
    for condition in rows:
        yield _row(codec, condition, stages)


def derived(sounds: Sequence[Samples]) -> Iterator[Condition]:
    """The recordings, and what is made of them."""
    random = np.random.default_rng(0)
    yield Condition("as recorded", list(sounds))
    for factor in (1.3, 0.8, 0.7):
        what = "raised" if factor > 1 else "lowered"
        name = f"{what} by {abs(100 * factor - 100):.0f} % in pitch and formants"
        yield Condition(name, [shifted(sound, factor) for sound in sounds])
    noisy = [mixed(sound, random.normal(size=len(sound)), 10.0) for sound in sounds]
    yield Condition("white noise, 10 dB", noisy)
    if voices := min(_VOICES, len(sounds) - 1):
        turned = [np.roll(np.arange(len(sounds)), -shift) for shift in range(1, 1 + voices)]
        babble = [sum(np.resize(sounds[turn[at]], len(sound)) for turn in turned) for at, sound in enumerate(sounds)]
        pairs = zip(sounds, babble, strict=True)
        name = f"{voices} other voice{'s' if voices > 1 else ''}, 5 dB"
        yield Condition(name, [mixed(sound, np.asarray(other), 5.0) for sound, other in pairs])
    yield Condition("clipped (12 dB too loud)", [(4 * sound / _peak(sound)).clip(-1, 1) for sound in sounds])
    yield Condition("very soft (peak -50 dB)", [sound * np.float32(10**-2.5 / _peak(sound)) for sound in sounds])
    yield Condition("telephone, 8 kHz, mu-law", [telephone(sound) for sound in sounds])
    yield Condition("chords", [chord(len(sounds[0]))])


def shifted(sound: Samples, factor: float) -> Samples:
    """Played `factor` times as fast: pitch and formants times `factor`."""
    return resample(sound, round(SAMPLE_RATE * factor), SAMPLE_RATE)


def telephone(sound: Samples) -> Samples:
    """To 8 kHz, 8 bits of mu-law, and back."""
    narrow = resample(sound, SAMPLE_RATE, _NARROW)
    peak = _peak(narrow)
    bent = np.sign(narrow) * np.log1p(_MU * np.abs(narrow) / peak) / np.log1p(_MU)
    coded = np.round(bent * 127) / 127
    straight = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU * peak
    return resample(straight.astype(np.float32), _NARROW, SAMPLE_RATE)


def chord(samples: int) -> Samples:
    """Three notes of five harmonics each."""
    time = np.arange(samples) / SAMPLE_RATE
    notes = [np.sin(2 * np.pi * k * f * time) / k for f in _CHORD for k in range(1, 6)]
    together: Samples = (0.1 * np.sum(notes, axis=0)).astype(np.float32)
    return together


def _peak(sound: Samples) -> float:
    return float(np.abs(sound).max())


def _chosen(folder: Path, *, number: int, seconds: float) -> list[Samples]:
    every = usable_recordings(folder)
    spread = np.linspace(0, len(every) - 1, min(number, len(every))).round().astype(int)
    return [every[at][: round(seconds * SAMPLE_RATE)] for at in spread]


_METRICS: dict[str, tuple[str, Callable[[Samples, Samples], float]]] = {
    "PESQ": (".2f", lambda reference, sound: pesq.pesq_wb(reference, sound)),
    "ESTOI": (".3f", lambda reference, sound: stoi.stoi(reference, sound, extended=True)),
    "DNSMOS": (".2f", lambda _, sound: dnsmos.dnsmos(sound)),
    "DistillMOS": (".2f", lambda _, sound: distillmos.distillmos(sound)),
    "gross": (".1f", lambda reference, sound: pitch.evaluate(reference, sound)["gross_pitch"]),
    "voicing": (".1f", lambda reference, sound: pitch.evaluate(reference, sound)["voicing"]),
    "level": (".1f", lambda reference, sound: level.evaluate(reference, sound)["level"]),
}


def _row(codec: sqcodec.Codec, condition: Condition, stages: int) -> str:
    """A line of the table; a recording that a metric refuses does not count in it."""
    values: dict[str, list[float]] = {name: [] for name in _METRICS}
    for sound in condition.sounds:
        decoded = codec.decode(codec.encode(sound, sample_rate=SAMPLE_RATE, codebooks=stages))
        aligned = remove_delay(decoded, find_delay(sound, decoded), len(sound))
        for name, (_, metric) in _METRICS.items():
            try:
                values[name].append(metric(sound, aligned))
            except MetricError:
                continue
    cells = [format(np.mean(each), _METRICS[name][0]) if each else "-" for name, each in values.items()]
    return f"| {condition.name} | " + " | ".join(cells) + " |"
