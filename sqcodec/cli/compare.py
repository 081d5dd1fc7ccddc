"""`sqcodec compare`."""

import shlex
import sys
from pathlib import Path
from typing import Literal

import click

from sqcodec.cli.options import PATH, chosen_backend, device_option, jobs_option, scheduler_option, set_option
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo, with_options


@click.command()
@click.argument("recipe")
@click.option("--systems", help="Systems, separated by commas [default: all systems of the target].")
@click.option("--seeds", default="0,1,2", show_default=True, help="Random seeds, separated by commas.")
@click.option("--sweep", "sweeps", multiple=True, metavar="KEY=V1,V2,...", help="Train with each value of KEY.")
@click.option("--target", type=click.Choice(["mel", "mel-classes"]), default="mel", show_default=True)
@click.option("--features", type=PATH, help="Feature store [default: data/NAME of the recipe].")
@click.option("--out", type=PATH, help="Folder for the results [default: runs/compare-NAME].")
@set_option
@device_option
@jobs_option
@click.option(
    "--backend",
    type=click.Choice(["local", "dask", "loky"]),
    default="local",
    show_default=True,
    metavar="[local|dask]",
    help="Processes of this machine, or a Dask cluster.",
)
@scheduler_option
def compare(
    recipe: str,
    systems: str | None,
    seeds: str,
    sweeps: tuple[str, ...],
    target: Literal["mel", "mel-classes"],
    features: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    device: str,
    jobs: int,
    backend: str,
    scheduler: str | None,
) -> None:
    """Train several quantisers of RECIPE with several seeds and print a table of the results.

    \b
    Example: sqcodec compare recipes/zerospeech2019 --systems vq-ema,sq-IV --seeds 0,1 --set train.steps=2000
    Capacity: sqcodec compare recipes/tiny --systems vq-ema,sq-IV --sweep quantizer.codewords=64,256
    Run the same command again to continue: finished trainings are kept, interrupted ones resume.
    """
    from sqcodec.pipeline.training import comparison

    if backend == "loky":
        echo("Warning: --backend loky will be removed in the next release; use local", err=True)
        backend = "local"
    cells = comparison.plan(
        recipe,
        systems=systems.split(",") if systems else [],
        seeds=_parse_seeds(seeds),
        overrides=overrides,
        sweeps=[_parse_sweep(text) for text in sweeps],
        target=target,
    )
    name = cells[0].recipe.name
    with progress_bar() as show:
        result = comparison.compare(
            recipe,
            cells,
            features or Path("data") / name,
            out or Path("runs") / f"compare-{name}",
            device=device,
            jobs=jobs,
            backend=chosen_backend(backend, scheduler),
            command=shlex.join(["sqcodec", *sys.argv[1:]]),
            report_line=lambda text: echo(with_options(text), err=True),
            progress=show,
        )
    echo(result.table, nl=False)
    echo(f"Tables: {result.folder / 'table.md'}, {result.folder / 'table.json'}")
    echo(f"Pictures: {', '.join(map(str, result.pictures))}")
    if result.failed:
        raise click.ClickException(
            f"{len(result.failed)} training(s) did not finish: {with_options('; '.join(result.failed))}"
        )


def _parse_seeds(text: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--seeds {text}: expected numbers separated by commas, such as 0,1,2") from None
    return list(dict.fromkeys(seeds))


def _parse_sweep(text: str) -> tuple[str, list[str]]:
    key, equals, values = text.partition("=")
    if not equals or not all(values.split(",")):
        raise click.UsageError(f"--sweep {text}: expected KEY=V1,V2,..., such as quantizer.codewords=64,128,256")
    return key, values.split(",")
