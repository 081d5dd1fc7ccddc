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
SETTINGS = tuple(
    word
    for text in (
        "train.steps=12",
        "train.batch=4",
        "train.milestones=[]",
        "train.save_every=4",
        "train.log_every=4",
        "train.evaluate_every=6",
        "network.channels=16",
        "network.gru=8",
    )
    for word in ("--set", text)
)
_OLD = 120  # seconds: drafts that are older than a minute and that nobody holds are dead


class Scenario(NamedTuple):
    """A command in a folder with `in`, `few` and `2019` (recordings), `codes` and `store`, and what it makes there.

    compared: the names of the files that are whole or not there, and equal at the end; None: all. Others grow or are
    written anew as the work goes on: rows, logs, checkpoints, pages.
    """

    name: str
    arguments: tuple[str, ...]
    output: str
    compared: tuple[str, ...] | None = None

    def present(self, folder: Path) -> dict[str, bytes]:
        """The files of the output that count, by their paths; no hidden ones."""
        path = folder / self.output
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        return {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in files
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(folder).parts)
            and (self.compared is None or file.name in self.compared)
        }

    def run(self, folder: Path) -> None:
        """Run the command; a training that has a checkpoint resumes."""
        more = ("--resume",) if self.name == "train" and (folder / self.output / "checkpoint.pt").is_file() else ()
        run((*self.arguments, *more), folder)


SCENARIOS = (
    Scenario("encode", ("encode", "in/long.wav", "out.sqc", "--model", "speech16k"), "out.sqc"),
    Scenario("decode", ("decode", "codes/long.sqc", "out.wav"), "out.wav"),
    Scenario("encode, folder", ("encode", "in", "out", "--model", "speech16k"), "out"),
    Scenario("decode, folder", ("decode", "codes", "out"), "out"),
    Scenario("prep", ("prep", "folder", "--data", "in", "--out", "out"), "out"),
    Scenario(
        "train", ("train", "tiny", "--features", "store", "--out", "out", *SETTINGS), "out", ("model.safetensors",)
    ),
    Scenario(
        "compare",
        ("compare", "tiny", "--systems", "vq-ema,sq-IV", "--features", "store", "--out", "out", *SETTINGS),
        "out",
        ("model.safetensors", "table.json"),
    ),
    Scenario("evaluate", ("evaluate", "speech16k", "--data", "few", "--out", "out"), "out", ("scores.md",)),
    Scenario("score", ("score", "few", "few"), "out"),  # writes nothing
    Scenario("submit", ("submit", "zerospeech2019", "made", "--data", "2019", "--out", "out"), "out"),
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
    """Eight recordings of a second and one of ten, their codes; a store, a model made of it, a challenge."""
    (folder / "in" / "a").mkdir(parents=True)
    sound = np.resize(np.concatenate(list(recordings(TINY))), 20 * SAMPLE_RATE)
    for number in range(8):
        part = sound[number * SAMPLE_RATE : (number + 1) * SAMPLE_RATE]
        soundfile.write(folder / "in" / "a" / f"{number}.wav", part, SAMPLE_RATE)
    soundfile.write(folder / "in" / "long.wav", sound[: 10 * SAMPLE_RATE], SAMPLE_RATE)
    run(("encode", "in", "codes", "--model", "speech16k"), folder)
    for name in ("few", "2019/english/test"):
        (folder / name).mkdir(parents=True)
    for number in range(2):
        shutil.copy(folder / "in" / "a" / f"{number}.wav", folder / "few")
        shutil.copy(folder / "in" / "a" / f"{number}.wav", folder / "2019" / "english" / "test" / f"S1_0{number}.wav")
    run(("prep", "tiny", "--data", str(TINY / "VCTK-Corpus-0.92"), "--out", "store"), folder)
    run(("train", "tiny", "--features", "store", "--out", "made", *SETTINGS), folder)


def run(arguments: tuple[str, ...], folder: Path) -> None:
    subprocess.run([*RUN, *arguments], cwd=folder, check=True, capture_output=True)


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
    scenario.run(whole)
    duration = time.monotonic() - begin
    usual, place = scenario.present(whole), space / "place"
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
        half += sum(usual.get(name) != content for name, content in scenario.present(place).items())
        left += len(drafts(place))
        for draft in drafts(place):
            os.utime(draft, (time.time() - _OLD,) * 2)
        scenario.run(place)
        left_after += len(drafts(place))
        differ += scenario.present(place) != usual
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
    scenario.run(whole)
    started = [
        subprocess.Popen([*RUN, *scenario.arguments], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(processes)
    ]
    for process in started:
        text = process.communicate()[1].decode()
        assert "Traceback" not in text, text
        assert process.returncode == 0 or text.startswith("Error: "), text
    assert scenario.present(place) == scenario.present(whole)
    assert not drafts(place)
    for folder in (whole, place):
        shutil.rmtree(folder)
    return [process.returncode for process in started]
