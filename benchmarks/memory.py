"""Memory against the length of a recording: it should not grow.

A file of 10 s and one of each length are encoded and decoded, each in a process of its own, whose largest resident
size is printed, and how much more it is than that of 10 s. The model has random weights and the size of a trained one.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from sqcodec.model.assembly import build_codec
from sqcodec.model.model_file import save_model
from sqcodec.recipe import load_recipe

RATE = 16000
SHORT = 10  # seconds
PROGRAM = """
import sys
from pathlib import Path
from sqcodec.pipeline.coding.files import decode_file, encode_file
source, target, model = sys.argv[2:]
if sys.argv[1] == "encode":
    encode_file(Path(source), Path(target), model=model, speaker="p225", device="cpu")
else:
    decode_file(Path(source), Path(target), model=model, vocoder="griffin-lim", device="cpu")
# kB; getrusage would give the parent's peak if that was higher
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def report(minutes: Sequence[float], *, narrow: bool) -> Iterator[str]:
    """Lines of text. narrow: a small network, which is quicker; sound, features and codes are as large."""
    with tempfile.TemporaryDirectory(prefix="sqcodec-memory-") as name:
        folder = Path(name)
        write_model(folder / "model.safetensors", narrow)
        short: dict[str, float] = {}
        for seconds in (SHORT, *(round(60 * each) for each in minutes)):
            write_noise(folder / "in.wav", seconds)
            for verb, source, target in (("encode", "in.wav", "out.sqc"), ("decode", "out.sqc", "out.wav")):
                start = time.perf_counter()
                size = peak_megabytes([verb, *(str(folder / each) for each in (source, target, "model.safetensors"))])
                taken = time.perf_counter() - start
                more = size - short.setdefault(verb, size)
                yield f"{verb} {seconds:6} s: {size:.0f} MB, {more:+.0f} against {SHORT} s; took {taken:.0f} s"
            assert soundfile.info(folder / "out.wav").frames == seconds * RATE


def write_model(path: Path, narrow: bool) -> None:
    """Two iterations of Griffin-Lim, which is quicker."""
    torch.manual_seed(0)
    overrides = ("network.channels=32", "network.gru=16") if narrow else ()
    recipe = load_recipe("vctk", ("vocoder.iterations=2", *overrides)).codec
    save_model(path, build_codec(recipe, ("p225",)), 0)


def write_noise(path: Path, seconds: int) -> None:
    """Ten seconds of noise that comes and goes, again and again."""
    rng = np.random.default_rng(0)
    piece = rng.normal(0, 0.1, SHORT * RATE) * (1 + np.sin(np.arange(SHORT * RATE) / 4000))
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for start in range(0, seconds, SHORT):
            file.write(piece[: (seconds - start) * RATE])


def peak_megabytes(arguments: Sequence[str]) -> float:
    """MB that the process had at most."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1000
