"""The progress bar of all commands."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ShowProgress = Callable[[str, int, int], None]  # kind of work, number done, total number


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[ShowProgress]:
    """One bar per kind of work, on standard error if it is a terminal; else nothing is shown."""
    if quiet or not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show


def _silent(_what: str, _done: int, _total: int) -> None:
    """Show nothing."""
