"""What is left of an output when its process is killed at a random moment, or several processes make it at once.

The commands run in processes that a server forks, with all modules imported: a random moment is one of the work.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from safetensors import SafetensorError
from safetensors.numpy import load_file

from benchmarks.speech import SAMPLE_RATE, TINY, recordings

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
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
        "prior.steps=8",
        "context.steps=8",
    )
    for word in ("--set", text)
)
_OLD = 120  # seconds: drafts that are older than a minute and that nobody holds are dead
_SLOW = ("speechmos", "distillmos")  # their metrics take 5 s for each second of sound, and write nothing
_IMPORTED = (
    "__main__",
    "benchmarks.kills",
    "torch.utils.tensorboard",
    "sqcodec.cli.main",
    "sqcodec.pipeline.coding.exporting",
    "sqcodec.pipeline.measuring.evaluation",
    "sqcodec.pipeline.measuring.submission",
    "sqcodec.pipeline.training.comparison",
    "sqcodec.pipeline.training.prepare",
    "sqcodec.pipeline.training.train_context",
    "sqcodec.pipeline.training.train_prior",
)
_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(list(_IMPORTED))


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
        """Run the command; a training that has a checkpoint resumes. Raises RuntimeError: it failed."""
        more = ("--resume",) if self.name in STAGES and (folder / STAGES[self.name]).is_file() else ()
        run((*self.arguments, *more), folder)


STAGES = {"train": "out/checkpoint.pt", "prior": "made/prior/checkpoint.pt", "context": "made/context/checkpoint.pt"}
_SHARDS = ("codes-00000.jsonl", "codes-00001.jsonl", "codes-00002.jsonl")
_TRAIN = ("train", "tiny", "--features", "store", *SETTINGS, "--out")
SCENARIOS = (
    Scenario("encode", ("encode", "in/long.wav", "out.sqc", "--model", "speech16k"), "out.sqc"),
    Scenario("decode", ("decode", "codes/long.sqc", "out.wav"), "out.wav"),
    Scenario("encode, folder", ("encode", "in", "out", "--model", "speech16k"), "out"),
    Scenario("decode, folder", ("decode", "codes", "out"), "out"),
    Scenario("export", ("export", "in", "out", "--model", "speech16k", "--shard", "3"), "out", _SHARDS),
    Scenario("prep", ("prep", "folder", "--data", "in", "--out", "out"), "out"),
    Scenario("train", (*_TRAIN, "out"), "out", ("model.safetensors",)),
    Scenario("prior", (*_TRAIN, "made", "--stage", "prior"), "made", ("prior.safetensors",)),
    Scenario("context", (*_TRAIN, "made", "--stage", "context"), "made", ("model.safetensors",)),
    Scenario(
        "compare",
        ("compare", "tiny", "--systems", "vq-ema,sq-IV", "--seeds", "0", "--features", "store", "--out", "out",
         *SETTINGS),
        "out",
        ("model.safetensors", "table.json"),
    ),
    Scenario("evaluate", ("evaluate", "speech16k", "--data", "few", "--out", "out"), "out", ("scores.md",)),
    Scenario("score", ("score", "few", "few"), "out"),  # writes nothing
    Scenario("submit", ("submit", "zerospeech2019", "made", "--data", "2019", "--out", "out"), "out"),
)  # fmt: skip


class Usual(NamedTuple):
    """What a command makes that nothing disturbs, and the seconds that it takes."""

    output: dict[str, bytes]
    seconds: float


class Killed(NamedTuple):
    """Counts over some moments. ended: before the signal; half: outputs that were there but not whole; drafts: that the
    signal left, and that were there after the next run; differ: outputs of the next run that are not as usual."""

    moments: int
    ended: int
    half: int
    drafts: int
    drafts_after: int
    differ: int


def report(*, moments: int, seed: int, commands: Sequence[str] = ()) -> Iterator[str]:
    """Lines of a table in Markdown: `moments` of each signal and command; commands: by name, all if none is named."""
    yield "| command | signal | moments | ended before | half | drafts | drafts after the next run | next run differs |"
    yield "|---|---|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory(prefix="sqcodec-kills-") as name:
        template = Path(name) / "template"
        prepare(template)
        for scenario in SCENARIOS:
            if commands and scenario.name not in commands:
                continue
            undisturbed = usual(scenario, template, Path(name))
            for number in SIGNALS:
                rng = random.Random(f"{seed} {scenario.name} {number}")
                killed = kill(scenario, number, template, Path(name), undisturbed, moments, rng)
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
    run((*_TRAIN, "made"), folder)


def run(arguments: tuple[str, ...], folder: Path) -> None:
    """Raises RuntimeError, with what the command printed: it failed."""
    with _said(folder) as said:
        process = begin(arguments, folder, said)
        process.join()
        if process.exitcode:
            raise RuntimeError(f"{' '.join(arguments)}: exit status {process.exitcode}: {said.read_text()}")


@contextmanager
def _said(folder: Path) -> Iterator[Path]:
    """A file beside the folder, for what a command prints."""
    descriptor, name = tempfile.mkstemp(suffix=".txt", dir=folder.parent)
    os.close(descriptor)
    yield Path(name)
    Path(name).unlink()


def begin(arguments: tuple[str, ...], folder: Path, said: Path) -> ForkServerProcess:
    """A process that runs the command in the folder; `said` receives what it prints."""
    process = _SERVER.Process(target=_command, args=(arguments, folder, said))
    process.start()
    return process


def _command(arguments: tuple[str, ...], folder: Path, said: Path) -> None:
    with said.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        file.write(b"begun\n")
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server is deaf to it
    sys.argv = ["sqcodec", *arguments]
    sys.modules |= dict.fromkeys(_SLOW)  # type: ignore[arg-type]  # as where they are not installed
    from sqcodec.cli.main import main

    main()


def drafts(folder: Path) -> list[Path]:
    """Drafts and locks, whoever left them."""
    return [*folder.rglob(".*.draft"), *folder.rglob(".*.lock")]


def usual(scenario: Scenario, template: Path, space: Path) -> Usual:
    """Run a command in a copy of the template that is made in `space`."""
    place = space / "whole"
    shutil.copytree(template, place)
    begun = time.monotonic()
    scenario.run(place)
    made = Usual(scenario.present(place), time.monotonic() - begun)
    shutil.rmtree(place)
    return made


def kill(
    scenario: Scenario,
    number: signal.Signals,
    template: Path,
    space: Path,
    undisturbed: Usual,
    moments: int,
    rng: random.Random,
) -> Killed:
    """Send a signal at random moments of a command, check what is there, run the command again, check again."""
    killed = Killed(0, 0, 0, 0, 0, 0)
    for _ in range(moments):
        wait = rng.uniform(0, undisturbed.seconds)
        one = _kill_once(scenario, number, template, space / "place", wait, undisturbed.output)
        killed = Killed(*(a + b for a, b in zip(killed, one, strict=True)))
    return killed


def _kill_once(
    scenario: Scenario, number: signal.Signals, template: Path, place: Path, wait: float, output: dict[str, bytes]
) -> Killed:
    shutil.copytree(template, place)
    with _said(place) as said:
        process = begin(scenario.arguments, place, said)
        while not said.stat().st_size and process.is_alive():
            time.sleep(0.002)
        process.join(wait)
        ended = not process.is_alive()
        if not ended:
            try:
                os.kill(process.pid or 0, number)
            except ProcessLookupError:  # it ended between the two lines
                ended = True
        process.join()
    half = sum(not _is_whole(place / name, output.get(name)) for name in scenario.present(place))
    left = drafts(place)
    for draft in left:
        os.utime(draft, (time.time() - _OLD,) * 2)
    try:
        scenario.run(place)
    except RuntimeError:  # a submission or a context model that is there already is not made again
        if scenario.present(place) != output:
            raise
    killed = Killed(1, ended, half, len(left), len(drafts(place)), scenario.present(place) != output)
    shutil.rmtree(place)
    return killed


def _is_whole(path: Path, usual: bytes | None) -> bool:
    """Whether a file is as usual, or the weights of a training that had not ended, which can be read."""
    if path.read_bytes() == usual or path.suffix != ".safetensors":
        return path.read_bytes() == usual
    try:
        load_file(path)
    except SafetensorError:
        return False
    return True


def crowd(scenario: Scenario, template: Path, space: Path, undisturbed: Usual, processes: int) -> list[int]:
    """Exit statuses of a command that several processes run at once; raises AssertionError: the output is not as usual.

    Where one alone may make an output, the others end with an error.
    """
    place = space / "place"
    shutil.copytree(template, place)
    said = [space / f"said-{number}.txt" for number in range(processes)]
    started = [begin(scenario.arguments, place, path) for path in said]
    for process, path in zip(started, said, strict=True):
        process.join()
        text = path.read_text(encoding="utf-8")
        assert "Traceback" not in text, text
        assert process.exitcode == 0 or text.splitlines()[-1].startswith("Error: "), text
    assert scenario.present(place) == undisturbed.output
    assert not drafts(place)
    shutil.rmtree(place)
    return [process.exitcode or 0 for process in started]
