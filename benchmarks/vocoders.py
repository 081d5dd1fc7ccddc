"""Vocoders by copy-synthesis: recordings to features and back, without a codec."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.speech import SAMPLE_RATE, Samples, recordings
from benchmarks.timing import usage
from sqcodec.errors import MetricError, SqcodecError
from sqcodec.features.mel import extract
from sqcodec.metrics import pitch
from sqcodec.metrics.pesq import pesq_wb
from sqcodec.metrics.stoi import stoi
from sqcodec.pipeline.coding.copy_synthesis import vocode_recording
from sqcodec.pipeline.finding.vocoders import find_vocoder
from sqcodec.recording import ArrayRecording
from sqcodec.report.figure import write_figure
from sqcodec.report.table import markdown
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.spectrogram import FEATURES, FeatureConfig
from sqcodec.vocoder.interface import Vocoder

COLUMNS = ("PESQ", "ESTOI", "mel distance, dB", "F0 RMSE, Hz", "gross pitch error, %", "voicing error, %")
SECONDS = 30  # of sound for the speed


def report(
    folders: Sequence[str],
    *,
    names: Sequence[str],
    iterations: Sequence[int],
    features: FeatureConfig,
    picture: Path | None,
    runs: int,
) -> Iterator[str]:
    """A Markdown table: scores, and seconds of sound per second of CPU time (median, lowest to highest).

    folders: each a folder of recordings, or FOLDER:N for each N-th of them. iterations: istft once more with each
    number of iterations of its refinement. Raises SqcodecError: no recordings, no such vocoder.
    """
    sounds = [sound for folder in folders for sound in found(folder)]
    vocoders = find_vocoders(names, iterations, features)
    yield f"{len(sounds)} recordings, {sum(map(len, sounds)) / SAMPLE_RATE:.0f} s, {features.kind}"
    speeds = measured_speeds(vocoders, sounds, runs)
    rows = [["vocoder", *COLUMNS, "x real time in CPU time (lowest to highest)"]]
    for name, vocoder in vocoders.items():
        scores = np.nanmean([scored(sound, copy_synthesis(sound, vocoder)) for sound in sounds], axis=0)
        rows.append([name, *(f"{score:.3f}" for score in scores), speeds[name]])
    yield markdown(rows)
    if picture is not None:
        draw(sounds, vocoders, picture)


def found(folder: str) -> list[Samples]:
    """The recordings of a folder, or each N-th of them with `:N` behind its name."""
    name, colon, every = folder.rpartition(":")
    if not colon or Path(folder).is_dir():
        name, every = folder, "1"
    if not (every.isdecimal() and int(every)):
        raise SqcodecError(f"{folder}: expected a folder, or FOLDER:N for each N-th recording, N at least 1")
    return recordings(Path(name), every=int(every))


def find_vocoders(names: Sequence[str], iterations: Sequence[int], features: FeatureConfig) -> dict[str, Vocoder]:
    vocoders = {name: find_vocoder(name, features, device="cpu").vocoder for name in names}
    for name, vocoder in list(vocoders.items()):
        if isinstance(vocoder, NumpyIstftVocoder):
            for number in iterations:
                vocoders[f"{name}, {number} iterations"] = NumpyIstftVocoder(vocoder.header, iterations=number)
    return vocoders


def copy_synthesis(sound: Samples, vocoder: Vocoder) -> Samples:
    return np.concatenate(list(vocode_recording(ArrayRecording(sound, SAMPLE_RATE), vocoder)))


def scored(sound: Samples, made: Samples) -> list[float]:
    """The figures of COLUMNS; not a number where a recording has nothing to measure."""
    errors = measured(lambda: list(pitch.evaluate(sound, made).values()), 4)
    return [
        *measured(lambda: [pesq_wb(sound, made)], 1),
        *measured(lambda: [stoi(sound, made, extended=True)], 1),
        mel_distance(sound, made),
        errors[0],
        errors[2],
        errors[3],
    ]


def measured(measure: Callable[[], list[float]], size: int) -> list[float]:
    try:
        return measure()
    except MetricError:
        return [float("nan")] * size


def mel_distance(sound: Samples, made: Samples) -> float:
    """Mean |difference| of the log-mel spectra in dB, at the recording's own level."""
    one, other = (extract(torch.from_numpy(np.ascontiguousarray(x)), FEATURES["log-mel"]) for x in (sound, made))
    return float((one - other).abs().mean()) * 20 / math.log(10)


def measured_speeds(vocoders: Mapping[str, Vocoder], sounds: Sequence[Samples], runs: int) -> dict[str, str]:
    """The vocoders in turns, so that what else the machine does falls on all."""
    sound = np.resize(np.concatenate(sounds), SECONDS * SAMPLE_RATE)
    speeds: dict[str, list[float]] = {name: [] for name in vocoders}
    for turn in range(runs + 1):
        for name, vocoder in vocoders.items():
            features = extract(sound, vocoder.features)
            taken = usage(lambda: list(vocoder.render([features], len(sound)))).cpu  # noqa: B023 - called at once
            if turn:  # the first warms up
                speeds[name].append(SECONDS / taken)
    return {
        name: f"{statistics.median(each):.0f} ({min(each):.0f} to {max(each):.0f})" for name, each in speeds.items()
    }


def draw(sounds: Sequence[Samples], vocoders: Mapping[str, Vocoder], path: Path) -> None:
    """Spectrograms of the recording nearest to 3 s and of what the vocoders make of it, one below the other."""
    sound = min(sounds, key=lambda samples: abs(len(samples) - 3 * SAMPLE_RATE))
    rows = {"recording": sound} | {name: copy_synthesis(sound, vocoder) for name, vocoder in vocoders.items()}
    figure = Figure(figsize=(10, 2.4 * len(rows)), layout="constrained", dpi=90)
    all_axes = figure.subplots(len(rows), sharex=True)
    for axes, (name, samples) in zip(all_axes, rows.items(), strict=True):
        frames = np.lib.stride_tricks.sliding_window_view(samples, 512)[::100] * np.hanning(512)
        level = 20 * np.log10(np.abs(np.fft.rfft(frames, 1024)) + 1e-4).T
        extent = (0, len(sound) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
        axes.imshow(level, origin="lower", aspect="auto", vmin=-50, vmax=30, extent=extent, cmap="magma")
        axes.set(ylabel="kHz", title=name)
    all_axes[-1].set(xlabel="s")
    write_figure(figure, path)
