"""The one progress bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[str, int, int], None]  # what is being done, how much of it is done, how much there is


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Show]:
    """A bar for each thing that is done, on standard error when that is a terminal, otherwise silence."""
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
