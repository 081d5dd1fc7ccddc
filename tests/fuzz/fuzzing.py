"""Read changed files and count what comes of it.

Half of the files are damaged at random, half are well formed but hostile. Allowed are a correct result and an error of
sqcodec's; everything else is a finding: another exception, a warning, more than 1 s of CPU for an input, more than
500 MB above what the process had (allocations beyond that fail), or, of a damaged file, a result that was not written.
A changed .npy or .wav may hold other valid content.
"""

import contextlib
import random
import resource
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sqcodec.errors import SqcodecError
from tests.fuzz.changes import mutate
from tests.fuzz.readers import Reader

SECONDS, MEGABYTES = 1, 500
LONGEST = 20_000  # characters of an error, which may list many wrong keys


class Fuzzed(NamedTuple):
    """counts: how many inputs came to each outcome; slowest: CPU seconds; grown: MB; findings: a text for each."""

    counts: Counter[str]
    slowest: float
    grown: float
    findings: list[str]


def fuzz(name: str, reader: Reader, inputs: int, seed: int, folder: Path) -> Fuzzed:
    """Read `inputs` changed files, the same for the same name and seed; `folder` holds the one that is read."""
    rng, counts, slowest, findings = random.Random(f"{name} {seed}"), Counter[str](), 0.0, []
    before = peak()
    for number in range(inputs):
        read = reader.read
        if reader.forge and reader.take and number % 2:
            content, read = reader.forge(rng, rng.choice(reader.seeds)), reader.take
        else:
            content = mutate(rng, reader.seeds)
        start = time.process_time()
        outcome = attempt(read, content, folder / f"input.{name}")
        slowest = max(slowest, time.process_time() - start)
        counts[outcome.partition(":")[0]] += 1
        if outcome.startswith("FINDING"):
            findings.append(f"{name} {number}: {outcome}\n  {content[:120]!r}")
    grown = peak() - before
    if grown > MEGABYTES:
        findings.append(f"{name}: memory grew by {grown:.0f} MB")
    return Fuzzed(counts, slowest, grown, findings)


def attempt(read: Callable[[bytes, Path], object], content: bytes, path: Path) -> str:
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("error")
            wrong = read(content, path)
    except SqcodecError as error:
        return "refused" if len(str(error)) < LONGEST else "FINDING: a text of " + str(len(str(error)))
    except TimeoutError:
        return f"FINDING: more than {SECONDS} s"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"FINDING: {type(error).__name__}: {error}"
    return f"FINDING: {wrong}" if wrong else "read"


@contextlib.contextmanager
def limited() -> Iterator[None]:
    begin = time.process_time()

    def late(_number: int, _frame: object) -> None:
        left = begin + SECONDS - time.process_time()
        if left <= 0:
            raise TimeoutError
        signal.setitimer(signal.ITIMER_PROF, left + 0.01)  # the timer counts whole ticks, others' too on a busy machine

    signal.signal(signal.SIGPROF, late)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + (MEGABYTES << 20), before[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)


def address_space() -> int:
    """Bytes that this process has mapped now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
