"""What true bits bring: quality against the bits of whole files, and speed, for each coder and effort.

Rows are kept in a JSON-lines file and not measured again, so a measurement that was stopped goes on.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sqcodec import Codec, Codes
from sqcodec.bitstream import sqc
from sqcodec.bitstream.code_space import Coder
from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import MetricError
from sqcodec.features.mel import extract
from sqcodec.metrics import dnsmos, pesq, pitch, stoi
from sqcodec.metrics.alignment import find_delay, remove_delay
from sqcodec.metrics.bd_rate import bd_rate
from sqcodec.metrics.bootstrap import Mean, bootstrap_mean
from sqcodec.metrics.signals import METRIC_RATE
from sqcodec.model.model_header import model_digest
from sqcodec.pipeline.coding.rate_control import Effort, Goal
from sqcodec.report.figure import write_figure
from sqcodec.storage import append_line, file_digest

LADDER = (1, 2, 3, 4, 6, 8, 10)
RATES = (300, 450, 600, 800, 1200, 1600, 2400, 3200)
_EFFORTS: dict[str, Effort] = {"effort 1": 1, "effort 2": 2, "effort 3": 3}
METRICS = ("pesq", "estoi", "dnsmos", "mel", "gross_pitch")
_TITLES = ("PESQ wide band", "ESTOI", "DNSMOS", "mel error, dB²", "gross pitch error, %")
MEASURED = ("context", *_EFFORTS)  # what can be asked for
SYSTEMS = {
    "tables": "version 1, tables, whole codebooks",
    "context": "version 2, whole codebooks",
    "effort 1": "the search, effort 1",
    "effort 2": "the search, effort 2",
    "effort 3": "the search, effort 3",
}


class Coded(NamedTuple):
    """The codes of a recording and what made them, with the seconds that it took."""

    system: str
    setting: int
    codes: Codes
    seconds: float


def measure(codec: Codec, recordings: Sequence[Path], out: Path, systems: Sequence[str]) -> list[dict[str, Any]]:
    """Append the rows that `out` lacks, one for each system, setting and recording; all rows of this model and of
    these recordings."""
    model = model_digest(codec.path)
    digests = {path: file_digest(path) for path in recordings}
    for path, digest in digests.items():
        known = {(row["system"], row["setting"]) for row in rows_of(out, model, [digest])}
        samples = AudioSource(path).read(METRIC_RATE)
        for coded in _every(codec, path, systems, known):
            names = ("tables", "context") if coded.system == "whole" else (coded.system,)
            scores = _scores(samples, codec.decode(coded.codes)) | {"mel": _mel_error(samples, codec, coded.codes)}
            for name in names:
                coder: Coder = "tables" if name == "tables" else "context"
                content = sqc.pack(coded.codes, codec.space, coder=coder)
                row = {"system": name, "setting": coded.setting, "model": model, "recording": digest,
                       "file": path.name, "bytes": len(content), "duration": coded.codes.seconds,
                       "encoding": coded.seconds, **scores}  # fmt: skip
                append_line(out, json.dumps(row))
    return rows_of(out, model, digests.values())


def rows_of(path: Path, model: str, recordings: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a model and of recordings, by their digests."""
    wanted = {*recordings}
    return [row for row in read(path) if row.get("model") == model and row.get("recording") in wanted]


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file; none if there is no file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def _every(codec: Codec, path: Path, systems: Sequence[str], known: set[tuple[str, int]]) -> Iterator[Coded]:
    """The codes that are asked for and not known yet. The whole codebooks serve both coders."""
    for books in LADDER if "context" in systems else ():
        if books <= len(codec.space.codewords) and ("context", books) not in known:
            yield _timed("whole", books, partial(codec.encode_recording, AudioSource(path), codebooks=books))
    for system, effort in _EFFORTS.items():
        for rate in RATES if system in systems else ():
            if (system, rate) not in known:
                goal = Goal(bit_rate=rate, effort=effort)
                yield _timed(system, rate, partial(_fitted, codec, path, goal))


def _fitted(codec: Codec, path: Path, goal: Goal) -> Codes:
    return codec.encode_for(AudioSource(path), goal).codes


def _timed(system: str, setting: int, encode: Callable[[], Codes]) -> Coded:
    start = time.perf_counter()
    codes = encode()
    return Coded(system, setting, codes, time.perf_counter() - start)


def _scores(reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> dict[str, float]:
    aligned = remove_delay(decoded, find_delay(reference, decoded), len(reference))
    return {
        **pesq.evaluate(reference, aligned),
        "estoi": stoi.stoi(reference, aligned, extended=True),
        "dnsmos": dnsmos.dnsmos(aligned),
        "gross_pitch": _gross_pitch(reference, aligned),
    }


def _mel_error(samples: NDArray[np.float32], codec: Codec, codes: Codes) -> float:
    """Mean squared error of the decoded features, in dB²."""
    features = extract(torch.from_numpy(samples), codec.features).numpy()
    decoded = np.concatenate([*codec.engine.decode(codes.used, codec.speaker_index(None))], axis=1)
    error = np.square(decoded[:, : features.shape[1]] - features[:, : decoded.shape[1]]).mean()
    return float(error) * codec.features.decibels_per_unit**2


def _gross_pitch(reference: NDArray[np.float32], aligned: NDArray[np.float32]) -> float:
    """NaN where no frame is voiced in both."""
    try:
        return pitch.evaluate(reference, aligned)["gross_pitch"]
    except MetricError:
        return float("nan")


class Point(NamedTuple):
    """A system at one setting: bit/s of all files together, means with their intervals by metric."""

    setting: int
    bit_rate: float
    means: dict[str, Mean]
    speed: float

    def value(self, metric: str) -> float:
        """The mean; NaN where no recording has one."""
        mean = self.means[metric].mean
        return float("nan") if mean is None else mean


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Point]]:
    """The points of each system, by rising rate."""
    found: dict[str, list[Point]] = {}
    for system in SYSTEMS:
        settings = sorted({row["setting"] for row in rows if row["system"] == system})
        if settings:
            found[system] = [_point([r for r in rows if (r["system"], r["setting"]) == (system, s)]) for s in settings]
    return found


def _point(rows: Sequence[Mapping[str, Any]]) -> Point:
    duration = sum(row["duration"] for row in rows)
    means = {name: bootstrap_mean([row[name] for row in rows if row[name] == row[name]]) for name in METRICS}
    return Point(
        rows[0]["setting"],
        8 * sum(row["bytes"] for row in rows) / duration,
        means,
        duration / sum(row["encoding"] for row in rows),
    )


def _bd_rate(first: Sequence[Point], second: Sequence[Point], metric: str) -> float:
    rate = bd_rate(*([(point.bit_rate, point.value(metric)) for point in points] for points in (first, second)))
    return float("nan") if rate is None else rate


def at_rate(points: Sequence[Point], bit_rate: float, metric: str) -> float:
    """Quality at a bit rate, on the straight line between two points (logarithm of the rate)."""
    return float(np.interp(np.log(bit_rate), [np.log(p.bit_rate) for p in points], [p.value(metric) for p in points]))


def table(found: Mapping[str, Sequence[Point]]) -> str:
    """Every point, then the gains over tables where they were measured, in Markdown."""
    lines = [f"| | setting | bit/s | {' | '.join(_TITLES)} | encodes, x real time |",
             f"|---|---:|---:|{'---|' * len(_TITLES)}---:|"]  # fmt: skip
    for system, points in found.items():
        for point in points:
            texts = [_text(point.means[metric]) for metric in METRICS]
            lines.append(f"| {SYSTEMS[system]} | {point.setting} | {point.bit_rate:.0f} | {' | '.join(texts)} |"
                         f" {point.speed:.0f} |")  # fmt: skip
    if (first := found.get("tables")) is None:
        return "\n".join(lines)
    lines += ["", "| | BD-rate PESQ | BD-rate ESTOI | " + " | ".join(f"{r} bit/s" for r in RATES) + " |",
              "|---|---:|---:|" + "---|" * len(RATES)]  # fmt: skip
    for system, points in found.items():
        rates = [f"{_bd_rate(first, points, metric):+.1f} %" for metric in ("pesq", "estoi")]
        quality = [f"{at_rate(points, r, 'pesq'):.2f} / {at_rate(points, r, 'estoi'):.3f}"
                   if points[0].bit_rate * 0.97 <= r <= points[-1].bit_rate * 1.03 else "" for r in RATES]  # fmt: skip
        lines.append(f"| {SYSTEMS[system]} | {' | '.join([*rates, *quality])} |")
    return "\n".join(lines)


def _text(mean: Mean) -> str:
    return "-" if mean.mean is None else f"{mean.mean:.3f} ({mean.low:.3f} to {mean.high:.3f})"


def draw(found: Mapping[str, Sequence[Point]], path: Path) -> None:
    """Every metric against bit/s."""
    figure = Figure(figsize=(4 * len(METRICS), 4), layout="constrained")
    for axes, metric, title in zip(figure.subplots(1, len(METRICS)), METRICS, _TITLES, strict=True):
        for system, points in found.items():
            rates, values = [point.bit_rate for point in points], [point.value(metric) for point in points]
            axes.plot(rates, values, marker=".", label=SYSTEMS[system])
        axes.set(xscale="log", xlabel="bit/s of whole files", title=title)
        axes.set_xticks([300, 600, 1200, 2400], labels=["300", "600", "1200", "2400"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    write_figure(figure, path)
