"""How long a new process takes until a model codes, and how much memory it has: measured, on the machine at hand."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from sqcodec.errors import SqcodecError

_RUNS = 2  # the shorter counts: the first one may read from a slow disk
# argv: a model file; prints the two times and the most memory
_PROGRAM = """
import json, sys, time
import sqcodec, numpy
codec = sqcodec.load(sys.argv[1], device="cpu")
codec.vocoder(None)
ready = time.time()
noise = numpy.random.default_rng(0).normal(0, 0.1, codec.sample_rate)
codec.decode(codec.encode(noise, codec.sample_rate, speaker=next(iter(codec.speakers), None)))
coded = time.time()
try:
    # getrusage would give the parent's peak if that was higher
    (peak,) = (1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
except OSError:
    peak = None
print(json.dumps([ready, coded, peak]))
"""


class Start(NamedTuple):
    """Seconds from the start of a process until a model and its vocoder are read, and until 1 s is coded and decoded.

    peak_bytes: the most memory that it had; None: the system does not say. machine: processor and system.
    """

    ready_seconds: float
    coded_seconds: float
    peak_bytes: int | None
    machine: str


def measure_start(model: Path) -> Start:
    """The shorter of two starts on the CPU. Raises SqcodecError: the process failed."""
    return min((_started(model) for _ in range(_RUNS)), key=lambda start: start.coded_seconds)


def _started(model: Path) -> Start:
    settings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    begin = time.time()
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(model)], capture_output=True, text=True, env=settings, check=False
    )
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise SqcodecError(f"{model}: a process of its own cannot code with it: {last}")
    ready, coded, peak = json.loads(finished.stdout)
    return Start(ready - begin, coded - begin, peak, _machine())


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}"
