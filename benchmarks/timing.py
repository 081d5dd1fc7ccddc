"""Time: of one piece of work, of two in turns, of a new process; and the table of what was measured."""

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

Work = Callable[[], object]


class Setting(NamedTuple):
    """How a row is measured: measurements of each figure, and a folder of recordings."""

    runs: int
    speech: Path


class Figures(NamedTuple):
    """What a row measured: what it is, its unit, one value per run, and the aim ("" for none)."""

    what: str
    unit: str
    values: Sequence[float]
    aim: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table: median, lowest and highest of `runs` figures, and what they are compared with."""

    name: str
    what: str
    unit: str
    median: float
    low: float
    high: float
    runs: int
    aim: str


def make_row(name: str, figures: Figures) -> Row:
    what, unit, values, aim = figures
    return Row(name, what, unit, statistics.median(values), min(values), max(values), len(values), aim)


def table(rows: Sequence[Row]) -> str:
    lines = [("row", "what", "median", "lowest to highest", "aim")]
    for row in rows:
        spread = f"{row.low:.3g} to {row.high:.3g} ({row.runs} runs)"
        lines.append((row.name, row.what, f"{row.median:.3g} {row.unit}", spread, row.aim))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


class Usage(NamedTuple):
    """CPU and wall seconds."""

    cpu: float
    wall: float


def usage(work: Work) -> Usage:
    """What `work` takes in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Usage(time.process_time() - cpu, time.perf_counter() - wall)


def child_usage(command: Sequence[str]) -> Usage:
    """What a new process takes, from its start to its end."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Usage(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def in_turns(slow: Work, fast: Work, runs: int) -> list[tuple[Usage, Usage]]:
    """Usage of both, in turns, so that what else the machine does falls on both; a first turn warms up."""
    slow()
    fast()
    return [(usage(slow), usage(fast)) for _ in range(runs)]


def wall_ratios(slow: Work, fast: Work, runs: int) -> list[float]:
    """Wall time of `slow` over that of `fast`."""
    return [one.wall / other.wall for one, other in in_turns(slow, fast, runs)]


def cpu_ratios(slow: Work, fast: Work, runs: int) -> list[float]:
    """CPU time of `slow` over that of `fast`: what else the machine does is not counted."""
    return [one.cpu / other.cpu for one, other in in_turns(slow, fast, runs)]
