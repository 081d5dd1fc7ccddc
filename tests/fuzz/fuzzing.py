"""Read changed files and count what comes of it.

Allowed are a correct result and an error of sqcodec's; everything else is a finding: another exception, a warning,
more than 5 s of CPU for an input, more than 256 MB, or a result that was not written. A changed .npy or .wav may hold
other valid content.
"""

import contextlib
import random
import resource
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqcodec.errors import SqcodecError
from tests.fuzz.changes import mutate
from tests.fuzz.readers import Reader

SECONDS, MEGABYTES = 5, 256


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
        content = mutate(rng, reader.seeds)
        start = time.process_time()
        outcome = attempt(reader, content, folder / f"input.{name}")
        slowest = max(slowest, time.process_time() - start)
        counts[outcome.partition(":")[0]] += 1
        if outcome.startswith("FINDING"):
            findings.append(f"{name} {number}: {outcome}\n  {content[:120]!r}")
    grown = peak() - before
    if grown > MEGABYTES:
        findings.append(f"{name}: memory grew by {grown:.0f} MB")
    return Fuzzed(counts, slowest, grown, findings)


def attempt(reader: Reader, content: bytes, path: Path) -> str:
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("error")
            wrong = reader.read(content, path)
    except SqcodecError as error:
        return "refused" if "\x00" not in str(error) else "FINDING: a NUL in the text"
    except TimeoutError:
        return f"FINDING: more than {SECONDS} s"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"FINDING: {type(error).__name__}: {error}"
    return f"FINDING: {wrong}" if wrong else "read"


@contextlib.contextmanager
def limited() -> Iterator[None]:
    def late(_number: int, _frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
