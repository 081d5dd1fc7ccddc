"""`python -m benchmarks`: rows of one table, and four reports of their own."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click
import torch

from benchmarks import codes, memory, networks, quantizer, training, use, vocoders
from benchmarks.speech import TINY
from benchmarks.timing import Setting, make_row, table
from sqcodec.errors import SqcodecError
from sqcodec.spectrogram import FEATURES

ROWS = quantizer.ROWS | training.ROWS | use.ROWS | networks.ROWS
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
runs_option = click.option(
    "--runs", type=click.IntRange(min=1), default=7, show_default=True, help="Measurements of each figure."
)


class Benchmarks(click.Group):
    """The command is `rows` where the first word names no other."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["rows", *args])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SqcodecError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Benchmarks)
def main() -> None:
    """Measure what sqcodec costs, on one thread of the CPU.

    Without a command, or with names of rows: `rows`. See 'python -m benchmarks rows --help'.
    """
    torch.set_num_threads(1)


@main.command(epilog=f"Rows: {', '.join(ROWS)}.")
@click.argument("names", nargs=-1, metavar="[ROW]...", type=click.Choice(list(ROWS)))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@runs_option
@click.option("--speech", type=FOLDER, default=TINY, help="Folder of recordings. [default: the speech that ships]")
def rows(names: tuple[str, ...], as_json: bool, runs: int, speech: Path) -> None:
    """Measure rows of the table of docs/performance.md; all of them if none is named.

    Each figure is a time, a size or a ratio; both sides of a ratio are measured in this run, in turns.
    """
    setting = Setting(runs, speech)
    measured = [make_row(name, ROWS[name](setting)) for name in names or ROWS]
    click.echo(json.dumps([asdict(row) for row in measured], indent=1) if as_json else table(measured))


@main.command("codes")
@click.argument("model")
@click.argument("folder", type=FOLDER)
@click.option("--features", type=FOLDER, help="The store that the model was trained on, to measure order 2 as well.")
@click.option("--every", type=click.IntRange(min=1), default=1, show_default=True, help="Take each N-th recording.")
@runs_option
def codes_command(model: str, folder: Path, features: Path | None, every: int, runs: int) -> None:
    """Bit rates, file sizes and speed of the codes of the recordings in FOLDER."""
    _echo(codes.report(model, folder, features=features, every=every, runs=runs))


@main.command("memory")
@click.option("--minutes", type=float, multiple=True, default=(10, 180), show_default=True, help="Lengths to measure.")
@click.option("--narrow", is_flag=True, help="A small network, which is quicker.")
def memory_command(minutes: tuple[float, ...], narrow: bool) -> None:
    """Memory of encode and decode against that of 10 s."""
    _echo(memory.report(minutes, narrow=narrow))


@main.command("vocoders")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER[:N]...")
@click.option(
    "--vocoder", "names", multiple=True, default=["griffin-lim"], show_default=True, help="Name of a vocoder."
)
@click.option("--iterations", type=int, multiple=True, help="istft once more with so many iterations of refinement.")
@click.option("--features", type=click.Choice(list(FEATURES)), default="log-mel", show_default=True)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw spectrograms into this PNG.")
@runs_option
def vocoders_command(
    folders: tuple[str, ...],
    names: tuple[str, ...],
    iterations: tuple[int, ...],
    features: Literal["paper-mel", "log-mel"],
    picture: Path | None,
    runs: int,
) -> None:
    """Scores and speed of vocoders on the recordings in each FOLDER, or each N-th of them."""
    _echo(
        vocoders.report(
            folders, names=names, iterations=iterations, features=FEATURES[features], picture=picture, runs=runs
        )
    )


@main.command("growth")
@click.option("--out", type=FOLDER, required=True, help="Folder for the pictures.")
@runs_option
def growth_command(out: Path, runs: int) -> None:
    """How the cost of a training step grows: with the corpus, the crops, V, K, and processes."""
    figures = training.growth(runs)
    training.draw(figures, out)
    click.echo(json.dumps(figures, indent=1))


@main.command("rank", hidden=True)
@runs_option
def rank_command(runs: int) -> None:
    """One process of those that torchrun started for `growth`."""
    click.echo(f"seconds={training.rank_seconds(runs)}")


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
