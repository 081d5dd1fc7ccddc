"""Rows about use: features, encode, decode, folders, prep, start."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

import librosa
import numpy as np
import soundfile
import soxr
import torch

from benchmarks.networks import LONG, random_codec
from benchmarks.speech import SAMPLE_RATE, Samples, usable_recordings
from benchmarks.timing import Figures, Setting, Usage, child_usage, cpu_ratios, usage, wall_ratios
from sqcodec.features import mel
from sqcodec.pipeline.coding import folders
from sqcodec.pipeline.coding.rate_control import Options
from sqcodec.pipeline.training.prepare import prepare
from sqcodec.spectrogram import FEATURES

SHORT = 3 * SAMPLE_RATE  # samples
COMMAND = [sys.executable, "-c", "from sqcodec.cli.main import main; main()"]


def librosa_features(samples: Samples) -> Samples:
    """The paper's features, `paper-mel`, as its own preparation computes them."""
    samples = librosa.effects.preemphasis(samples / np.abs(samples).max() * 0.999, coef=0.97, zi=np.zeros(1))
    mel_amplitude = librosa.feature.melspectrogram(
        y=samples, sr=SAMPLE_RATE, n_fft=2048, hop_length=160, win_length=400, n_mels=80, fmin=50, power=1,
        pad_mode="reflect",
    )  # fmt: skip
    return np.asarray(librosa.amplitude_to_db(mel_amplitude, amin=1e-5, top_db=80.0, ref=1.0) / 80 + 1, np.float32)


def features(setting: Setting) -> Figures:
    files = usable_recordings(setting.speech)
    tensors = [torch.from_numpy(samples) for samples in files]
    config = FEATURES["paper-mel"]
    figures = wall_ratios(
        lambda: [librosa_features(samples) for samples in files],
        lambda: [mel.extract(samples, config) for samples in tensors],
        setting.runs,
    )
    return Figures(f"features of {len(files)} recordings: time of librosa / ours", "x", figures, "2 or more")


def coding(setting: Setting, *, verb: Literal["encode", "decode"]) -> Figures:
    files = usable_recordings(setting.speech)
    samples = np.concatenate(files)[:LONG]
    with tempfile.TemporaryDirectory() as folder:
        codec = random_codec(Path(folder), files)
        codes = codec.encode(samples, 16000, speaker="p225")
        verbs = {"encode": lambda: codec.encode(samples, 16000, speaker="p225"), "decode": lambda: codec.decode(codes)}
        work = verbs[verb]
        length = len(samples) / SAMPLE_RATE
        figures = [length / usage(work).wall for _ in range(setting.runs)]
    what = {"encode": "sound to codes", "decode": "codes to sound, Griffin-Lim included"}[verb]
    return Figures(f"{what}, {length:.0f} s, the paper's model: length / time", "x real time", figures)


def short_files(setting: Setting) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        figures = short_against_long(usable_recordings(setting.speech), Path(folder), setting.runs)
    return Figures("encode a folder: throughput of 20 files of 3 s / one of 60 s", "x", figures, "0.8 or more")


def short_against_long(recordings: Sequence[Samples], folder: Path, runs: int) -> list[float]:
    """Throughput of encoding a folder of files of 3 s over that of one file of 60 s, speaker given, in CPU time."""
    random_codec(folder, recordings)
    whole = np.resize(np.concatenate(recordings), LONG)
    write_recordings([whole], folder / "long", SAMPLE_RATE)
    write_recordings(np.split(whole, LONG // SHORT), folder / "short", SAMPLE_RATE)
    number = count()

    def encoded(source: str) -> None:
        out = folder / f"{source}-{next(number)}"
        _encode_folder(folder / source, out, folder / "model.safetensors", folders.Workers(1, "local"))

    return cpu_ratios(lambda: encoded("long"), lambda: encoded("short"), runs)


def _encode_folder(source: Path, out: Path, model: Path, how: folders.Workers) -> None:
    done = folders.encode_folder(
        source, out, model=str(model), speaker="p225", device="cpu", form="sqc", options=Options(),
        dtype=None, block=None, workers=how, progress=lambda _what, _done, _total: None,
    )  # fmt: skip
    assert done.count("new")
    assert not done.failed


def write_recordings(recordings: Sequence[Samples], folder: Path, rate: int) -> float:
    """Recordings as <speaker>/<utterance>.flac at `rate`, 16 bit; seconds of all."""
    (folder / "a").mkdir(parents=True)
    for number, samples in enumerate(recordings):
        sound = samples if rate == SAMPLE_RATE else soxr.resample(samples, SAMPLE_RATE, rate)
        soundfile.write(folder / "a" / f"{number:04}.flac", sound.clip(-1, 1), rate, subtype="PCM_16")
    return sum(map(len, recordings)) / SAMPLE_RATE


def preparation(setting: Setting, *, rate: int, aim: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        used, length = prep(usable_recordings(setting.speech), Path(folder), rate, setting.runs)
    wall = length / statistics.median(each.wall for each in used)
    what = f"prep of {length:.0f} s of FLAC at {rate} Hz, one process, its start not counted: length / CPU time"
    return Figures(f"{what} (wall {wall:.0f} x)", "x real time", [length / each.cpu for each in used], aim)


def prep(recordings: Sequence[Samples], folder: Path, rate: int, runs: int) -> tuple[list[Usage], float]:
    """`prepare` in this process, so without its start, of recordings as FLAC at `rate`: each run, seconds of all."""
    seconds = write_recordings(recordings, folder / "speech", rate)
    number = count()  # a store that is there already is kept

    def work() -> None:
        prepare("folder", data=folder / "speech", out=folder / f"store{next(number)}", jobs=1)

    return [usage(work) for _ in range(runs + 1)][1:], seconds


def start(setting: Setting, *, command: Literal["help", "inspect", "encode"], aim: str = "") -> Figures:
    """A new process; the median wall time stands beside the CPU time, and for encode an import of torch alone."""
    with tempfile.TemporaryDirectory() as folder:
        commands = starts(usable_recordings(setting.speech), Path(folder))
        used = [child_usage(commands[command]) for _ in range(setting.runs + 1)][1:]
    wall = statistics.median(each.wall for each in used) * 1e3
    beside = f", import torch alone {torch_milliseconds():.0f} ms" if command == "encode" else ""
    what = {"encode": "encode of 3 s", "help": "--help", "inspect": "inspect"}[command]
    figures = [1e3 * each.cpu for each in used]
    return Figures(f"sqcodec {what}, a new process: CPU time (wall {wall:.0f} ms{beside})", "ms", figures, aim)


def torch_milliseconds() -> float:
    """CPU time of a process that imports torch and nothing else, the median of three."""
    return 1e3 * statistics.median(child_usage([sys.executable, "-c", "import torch"]).cpu for _ in range(3))


def starts(recordings: Sequence[Samples], folder: Path) -> dict[str, list[str]]:
    """Command lines whose start is measured: --help, inspect, encode of 3 s."""
    codec = random_codec(folder, recordings)
    samples = np.concatenate(recordings)[:SHORT]
    soundfile.write(folder / "in.wav", samples, SAMPLE_RATE)
    (folder / "codes.sqc").write_bytes(codec.pack(codec.encode(samples, 16000, speaker="p225")))
    model = ["--model", str(folder / "model.safetensors")]
    return {
        "help": [*COMMAND, "--help"],
        "inspect": [*COMMAND, "inspect", str(folder / "codes.sqc"), *model],
        "encode": [*COMMAND, "encode", str(folder / "in.wav"), str(folder / "out.sqc"), *model],
    }


ROWS: dict[str, Callable[[Setting], Figures]] = {
    "features": features,
    "encode": partial(coding, verb="encode"),
    "decode": partial(coding, verb="decode"),
    "short-files": short_files,
    "prep-16k": partial(preparation, rate=16000, aim="200 (400 on two)"),
    "prep-48k": partial(preparation, rate=48000, aim="75 (150 on two)"),
    "help": partial(start, command="help", aim="under 200"),
    "inspect": partial(start, command="inspect", aim="under 400"),
    "start-encode": partial(start, command="encode"),
}
