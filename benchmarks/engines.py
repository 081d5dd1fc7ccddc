"""What ships, in NumPy and in torch: start, speed and memory, each in processes of its own, idle and beside a busy one.

Torch runs with as many threads as it takes by itself, NumPy with one.
With `avx2`, both do as on a processor that has AVX2 alone.
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.speech import SAMPLE_RATE, usable_recordings
from benchmarks.timing import Setting

ENGINES = ("torch", "numpy")
_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
# argv: engine, verb, seconds of the recording in memory (0: a file to a file), source, target
PROGRAM = """
import json, sys, time
from sqcodec.pipeline.coding import engines, files
from sqcodec.pipeline.finding import vocoders
if sys.argv[1] == "torch":
    engines.is_gpu = vocoders.is_gpu = lambda device: True  # then torch runs them, on the device that is named
from pathlib import Path
engine, verb, seconds, source, target = *sys.argv[1:3], float(sys.argv[3]), *map(Path, sys.argv[4:])
if not seconds:
    {"encode": files.encode_file, "decode": files.decode_file}[verb](source, target, model="speech16k", device="cpu")
    factor = cpu_factor = 0.0
else:
    import numpy as np, soundfile
    from sqcodec.pipeline.coding.codec import load
    codec, (samples, rate) = load("speech16k", device="cpu"), soundfile.read(source, dtype="float32")
    samples = np.resize(samples, int(seconds * rate))
    codes = codec.encode(samples, sample_rate=rate)
    work = {"encode": lambda: codec.encode(samples, sample_rate=rate), "decode": lambda: codec.decode(codes)}[verb]
    work()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    factor, cpu_factor = seconds / (time.perf_counter() - wall), seconds / (time.process_time() - cpu)
# getrusage would give the parent's peak if that was higher
(peak,) = (int(line.split()[1]) / 1000 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"factor": factor, "cpu": cpu_factor, "peak": peak, "torch": "torch" in sys.modules}))
"""


def report(setting: Setting, *, seconds: float, avx2: bool) -> Iterator[str]:
    """A table in Markdown. seconds: length of the long recording."""
    os.environ.update(_AVX2 if avx2 else {})
    with tempfile.TemporaryDirectory(prefix="sqcodec-engines-") as name:
        folder = Path(name)
        sound = np.resize(np.concatenate(usable_recordings(setting.speech)), 3 * SAMPLE_RATE)
        soundfile.write(folder / "in.wav", sound, SAMPLE_RATE)
        _measure(folder, "numpy", "encode", 0.0)
        yield "| measured | torch | NumPy |"
        yield "|---|---|---|"
        for state in ("idle", "beside a busy process"):
            with _busy(state != "idle"):
                for verb in ("encode", "decode"):
                    yield from _rows(folder, verb, state, seconds, setting.runs)


def _rows(folder: Path, verb: str, state: str, seconds: float, runs: int) -> Iterator[str]:
    start: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    long: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for _ in range(runs):
        for engine in ENGINES:  # in turns, so that what else the machine does falls on both
            start[engine].append(_measure(folder, engine, verb, 0.0))
            long[engine].append(_measure(folder, engine, verb, seconds))
    yield _line(f"{verb} 3 s in a new process, {state}: s", start, "wall", "{:.2f}")
    yield _line(f"{verb} {seconds:g} s, {state}: x real time", long, "factor", "{:.0f}")
    yield _line(f"{verb} {seconds:g} s, {state}: x real time in CPU time of all threads", long, "cpu", "{:.0f}")
    if state == "idle":
        yield _line(f"{verb} {seconds:g} s: peak memory, MB", long, "peak", "{:.0f}")


def _line(what: str, measured: dict[str, list[dict[str, float]]], key: str, form: str) -> str:
    cells = []
    for engine in ENGINES:
        values = [each[key] for each in measured[engine]]
        spread = f"{form.format(min(values))} to {form.format(max(values))}"
        cells.append(f"{form.format(statistics.median(values))} ({spread})")
    return f"| {what} | {cells[0]} | {cells[1]} |"


def _measure(folder: Path, engine: str, verb: str, seconds: float) -> dict[str, float]:
    """Wall seconds of a process, and what it prints."""
    source, target = ("in.wav", "out.sqc") if verb == "encode" or seconds else ("out.sqc", "out.wav")
    command = [sys.executable, "-c", PROGRAM, engine, verb, str(seconds), str(folder / source), str(folder / target)]
    begin = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall = time.perf_counter() - begin
    printed: dict[str, float] = json.loads(done.stdout)
    assert printed["torch"] == (engine == "torch")
    return {**printed, "wall": wall}


@contextmanager
def _busy(wanted: bool) -> Iterator[None]:
    """A process that keeps one core busy meanwhile."""
    if not wanted:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _spin() -> None:
    while True:
        pass
