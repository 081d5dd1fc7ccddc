"""`sqcodec prep`: a corpus becomes a feature store."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqcodec.cli.options import (
    PATH,
    backend_option,
    cpu_device_option,
    list_option,
    scheduler_option,
    set_option,
    where,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo_notes

if TYPE_CHECKING:
    from sqcodec.pipeline.training.prepare import Prepared


@click.command()
@click.argument("recipe")
@click.option(
    "--data",
    type=PATH,
    help="The corpus's folder, or the one that holds it. [default: VCTK-Corpus-0.92, 2019]",
)
@list_option
@click.option("--mic", type=click.Choice(["1", "2"]), help="VCTK 0.92: which microphone. [default: the recipe's]")
@set_option
@click.option("--out", type=PATH, help="Where the store goes. [default: data/<recipe name>]")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. [default: one for each usable CPU]")
@backend_option
@scheduler_option
@cpu_device_option
@click.option("--strict", is_flag=True, help="Stop at the first recording with anything to report.")
@click.option("--download", is_flag=True, help="Fetch the corpus into --data first, if it is public and not there.")
def prep(
    recipe: str,
    data: Path | None,
    list_file: Path | None,
    mic: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    jobs: int | None,
    backend: str,
    scheduler: str | None,
    device: str,
    strict: bool,
    download: bool,
) -> None:
    """Turn the corpus of RECIPE into a feature store.

    \b
    Example: sqcodec prep vctk --data VCTK-Corpus-0.92
             sqcodec prep folder --list mine.tsv --out data/mine
    """
    from sqcodec.pipeline.training import prepare
    from sqcodec.processors import usable_processors

    with progress_bar() as progress:
        done = prepare.prepare(
            recipe,
            data=data,
            list_file=list_file,
            out=out,
            overrides=(*overrides, *([f"corpus.microphone={mic}"] if mic else [])),
            jobs=jobs or usable_processors(),
            backend=where(backend, scheduler),
            device=device,
            strict=strict,
            fetch=download,
            progress=progress,
        )
    echo_notes((*done.remarks, *prepare.count_reasons(done.reports)))
    _echo_result(done, recipe, "".join(f" --set {shlex.quote(override)}" for override in overrides))


def _echo_result(done: "Prepared", recipe: str, settings: str) -> None:
    click.echo(f"{done.folder}: {'made' if done.fresh else 'nothing new to do'}")
    for split in done.splits:
        click.echo(f"  {split.name}: {split.utterances} utterances, {split.speakers} speakers, {_length(split.hours)}")
    if done.reports:
        click.echo(f"  {len(done.reports)} reports: {done.folder / 'report.txt'}")
    from sqcodec.recipe import available_recipes

    shown = f"recipes/{recipe}" if recipe in available_recipes() else recipe
    features = "" if done.folder == Path("data") / done.recipe_name else f" --features {done.folder}"
    stage = "" if done.has_codec else " --stage vocoder"
    click.echo(f"next: sqcodec train {shown}{stage}{features}{settings}")


def _length(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.2f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.1f} s"
