"""Progress of long work: a bar on a terminal, else a plain line now and then, with rate and time left."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqcodec.cli.wording import echo

ShowProgress = Callable[[str, int, int], None]  # kind of work, number done, total number
_FIRST = 2.0  # seconds of work before the first line: short work stays silent
_EVERY = 30.0  # seconds between the lines after it


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[ShowProgress]:
    """One bar per kind of work, on standard error if it is a terminal; else a line after 2 s and every 30 s."""
    if quiet:
        yield _silent
        return
    if not sys.stderr.isatty():
        with plain_lines(lambda line: echo(line, err=True), first=_FIRST) as show:
            yield show
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks, meters = dict[str, TaskID](), dict[str, Meter]()

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total, rate="")
            if what not in meters or not meters[what].goes_on(done, total):  # another count of such things has begun
                meters[what] = Meter(done, time.monotonic(), total)
                bar.reset(tasks[what])
            rate = meters[what].rate(done, time.monotonic())
            bar.update(tasks[what], completed=done, total=total, rate=f"{rate:.3g}/s" if rate else "")

        yield show


@contextmanager
def plain_lines(
    write: Callable[[str], None], *, first: float = _FIRST, every: float = _EVERY
) -> Iterator[ShowProgress]:
    """Lines on the work that was reported last, also while one piece takes long; after `first` s, then `every` s."""
    state: dict[str, tuple[Meter, int, int]] = {}
    finished = threading.Event()

    def show(what: str, done: int, total: int) -> None:
        known = what in state and state[what][0].goes_on(done, total)
        meter = state[what][0] if known else Meter(done, time.monotonic(), total)
        state.pop(what, None)  # the one reported last stands at the end
        state[what] = meter, done, total

    def speak() -> None:
        wait = first
        while not finished.wait(wait):
            if state:
                what, (meter, done, total) = list(state.items())[-1]
                write(meter.line(what, done, total, time.monotonic()))
                wait = every

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield show
    finally:
        finished.set()
        speaker.join()


class Meter:
    """The speed of one kind of work since it was first reported: `done` of `total` at `now` (seconds of any clock)."""

    def __init__(self, done: int, now: float, total: int | None = None) -> None:
        self._done, self._since, self._last, self._total = done, now, done, total

    def goes_on(self, done: int, total: int) -> bool:
        """Whether the same work has come to `done`; a smaller number, or another total, is of other work."""
        same = done >= self._last and total == self._total
        self._last = done
        return same

    def rate(self, done: int, now: float) -> float:
        """Per second; 0 while nothing was done."""
        elapsed = now - self._since
        return (done - self._done) / elapsed if elapsed > 0 else 0.0

    def line(self, what: str, done: int, total: int, now: float) -> str:
        """`files: 12 of 120, 0.4 per second, 4 min left`."""
        rate = self.rate(done, now)
        speed = f", {rate:.3g} per second, {duration((total - done) / rate)} left" if rate else ""
        return f"{what}: {done} of {total}{speed}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h` or `4.2 days`."""
    for size, unit in ((86400, "days"), (3600, "h")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _silent(_what: str, _done: int, _total: int) -> None:
    """Show nothing."""
