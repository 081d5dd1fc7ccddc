"""`python -m tests.fuzz [--inputs 100000] [--seed 0] [READER ...]`; the exit status is 1 where there are findings."""

import sys
import tempfile
from pathlib import Path

import click

from tests.fuzz.fuzzing import fuzz
from tests.fuzz.readers import known_codes, make_readers

SHOWN = 20  # findings of each reader
READERS = make_readers(known_codes())


@click.command()
@click.argument("names", nargs=-1, metavar="[READER]...", type=click.Choice(list(READERS)))
@click.option("--inputs", type=int, default=100_000, show_default=True, help="In all, shared out among the readers.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(names: tuple[str, ...], inputs: int, seed: int) -> None:
    """Feed damaged files to every reader, or to those named, and count what comes of it."""
    names, total = names or tuple(READERS), 0
    with tempfile.TemporaryDirectory(prefix="sqcodec-fuzz-") as folder:
        for name in names:
            share = inputs // len(names)
            done = fuzz(name, READERS[name], share, seed, Path(folder))
            listed = ", ".join(f"{count} {outcome}" for outcome, count in sorted(done.counts.items()))
            memory = f"memory grew by {done.grown:.0f} MB"
            click.echo(f"{name:10} {share} inputs: {listed}; slowest {done.slowest:.3f} s, {memory}")
            for finding in done.findings[:SHOWN]:
                click.echo(finding)
            total += len(done.findings)
    click.echo(f"{total} findings")
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main(prog_name="python -m tests.fuzz")
