"""What is left of an output when its process is killed at a random moment, or several processes make it at once."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from benchmarks.speech import SAMPLE_RATE, TINY, recordings

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
RUN = (sys.executable, "-m", "sqcodec.cli.main")
_OLD = 120  # seconds: drafts that are older than a minute and that nobody holds are dead


class Scenario(NamedTuple):
    """A command in a folder with `in` (recordings) and `codes`, and what it makes there."""

    name: str
    arguments: tuple[str, ...]
    output: str


SCENARIOS = (
    Scenario("encode", ("encode", "in/long.wav", "out.sqc", "--model", "speech16k"), "out.sqc"),
    Scenario("decode", ("decode", "codes/long.sqc", "out.wav"), "out.wav"),
    Scenario("encode, folder", ("encode", "in", "out", "--model", "speech16k"), "out"),
    Scenario("decode, folder", ("decode", "codes", "out"), "out"),
    Scenario("prep", ("prep", "folder", "--data", "in", "--out", "out"), "out"),
)


class Killed(NamedTuple):
    """Counts over some moments. ended: before the signal; half: outputs that were there but not whole; drafts: that the
    signal left, and that were there after the next run; differ: outputs of the next run that are not as usual."""

    moments: int
    ended: int
    half: int
    drafts: int
    drafts_after: int
    differ: int


def report(*, moments: int, seed: int) -> Iterator[str]:
    """Lines of a table in Markdown: `moments` of each command and signal."""
    yield "| command | signal | moments | ended before | half | drafts | drafts after the next run | next run differs |"
    yield "|---|---|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory(prefix="sqcodec-kills-") as name:
        template = Path(name) / "template"
        prepare(template)
        for scenario in SCENARIOS:
            for number in SIGNALS:
                rng = random.Random(f"{seed} {scenario.name} {number}")
                killed = kill(scenario, number, template, Path(name), moments, rng)
                yield f"| {scenario.name} | {number.name} | " + " | ".join(map(str, killed)) + " |"


def prepare(folder: Path) -> None:
    """Eight recordings of a second and one of ten, and their codes."""
    (folder / "in" / "a").mkdir(parents=True)
    sound = np.resize(np.concatenate(list(recordings(TINY))), 20 * SAMPLE_RATE)
    for number in range(8):
        part = sound[number * SAMPLE_RATE : (number + 1) * SAMPLE_RATE]
        soundfile.write(folder / "in" / "a" / f"{number}.wav", part, SAMPLE_RATE)
    soundfile.write(folder / "in" / "long.wav", sound[: 10 * SAMPLE_RATE], SAMPLE_RATE)
    run(("encode", "in", "codes", "--model", "speech16k"), folder)


def run(arguments: tuple[str, ...], folder: Path) -> None:
    subprocess.run([*RUN, *arguments], cwd=folder, check=True, capture_output=True)


def contents(folder: Path, output: str) -> dict[str, bytes]:
    """The files of an output by their paths, but for hidden ones."""
    path = folder / output
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in files
        if file.is_file() and not file.name.startswith(".") and not any(part[0] == "." for part in file.parts[-3:])
    }


def drafts(folder: Path) -> list[Path]:
    """Drafts and locks, whoever left them."""
    return [*folder.rglob(".*.draft"), *folder.rglob(".*.lock")]


def kill(
    scenario: Scenario, number: signal.Signals, template: Path, space: Path, moments: int, rng: random.Random
) -> Killed:
    """Send a signal at random moments of a command, check what is there, run the command again, check again."""
    whole = space / "whole"
    shutil.copytree(template, whole)
    begin = time.monotonic()
    run(scenario.arguments, whole)
    duration = time.monotonic() - begin
    usual, place = contents(whole, scenario.output), space / "place"
    ended = half = left = left_after = differ = 0
    for _ in range(moments):
        shutil.copytree(template, place)
        process = subprocess.Popen(
            [*RUN, *scenario.arguments], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0, duration))
        ended += process.poll() is not None
        process.send_signal(number)
        process.wait()
        half += sum(usual.get(name) != content for name, content in contents(place, scenario.output).items())
        left += len(drafts(place))
        for draft in drafts(place):
            os.utime(draft, (time.time() - _OLD,) * 2)
        run(scenario.arguments, place)
        left_after += len(drafts(place))
        differ += contents(place, scenario.output) != usual
        shutil.rmtree(place)
    shutil.rmtree(whole)
    return Killed(moments, ended, half, left, left_after, differ)


def crowd(scenario: Scenario, template: Path, space: Path, processes: int) -> list[int]:
    """Exit statuses of a command that several processes run at once; raises AssertionError: the output is not as usual.

    Where one alone may make an output, the others end with an error.
    """
    whole, place = space / "whole", space / "place"
    for folder in (whole, place):
        shutil.copytree(template, folder)
    run(scenario.arguments, whole)
    started = [
        subprocess.Popen([*RUN, *scenario.arguments], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(processes)
    ]
    for process in started:
        text = process.communicate()[1].decode()
        assert "Traceback" not in text, text
        assert process.returncode == 0 or text.startswith("Error: "), text
    assert contents(place, scenario.output) == contents(whole, scenario.output)
    assert not drafts(place)
    for folder in (whole, place):
        shutil.rmtree(folder)
    return [process.returncode for process in started]
