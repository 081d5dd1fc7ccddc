"""`sqcodec prep`: turn a corpus into a feature store."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqcodec.cli.checks import check_recipe
from sqcodec.cli.failures import resumable
from sqcodec.cli.options import (
    PATH,
    backend_option,
    chosen_backend,
    cpu_device_option,
    list_option,
    scheduler_option,
    set_option,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo, echo_notes

if TYPE_CHECKING:
    from sqcodec.pipeline.training.prepare import Prepared


@click.command()
@click.argument("recipe")
@click.option(
    "--data",
    type=PATH,
    help="Folder of the corpus, or its parent. [default: VCTK-Corpus-0.92, 2019]",
)
@list_option
@click.option("--mic", type=click.Choice(["1", "2"]), help="Microphone of VCTK 0.92. [default: the recipe's]")
@set_option
@click.option("--out", type=PATH, help="Folder for the feature store. [default: data/<recipe name>]")
@click.option("--jobs", type=click.IntRange(min=1), help="Number of processes. [default: one per usable CPU]")
@backend_option
@scheduler_option
@cpu_device_option
@click.option("--strict", is_flag=True, help="Stop at the first recording with a report.")
@click.option("--download", is_flag=True, help="Download the corpus into --data first, if it is public and missing.")
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
    check_recipe(recipe)
    from sqcodec.pipeline.training import prepare
    from sqcodec.processors import usable_processors

    with resumable(), progress_bar() as progress:
        prepared = prepare.prepare(
            recipe,
            data=data,
            list_file=list_file,
            out=out,
            overrides=(*overrides, *([f"corpus.microphone={mic}"] if mic else [])),
            jobs=jobs or usable_processors(),
            backend=chosen_backend(backend, scheduler),
            device=device,
            strict=strict,
            fetch=download,
            progress=progress,
        )
    echo_notes((*prepared.remarks, *prepare.count_reasons(prepared.reports)))
    _echo_result(prepared, recipe, "".join(f" --set {shlex.quote(override)}" for override in overrides))


def _echo_result(prepared: "Prepared", recipe: str, settings: str) -> None:
    made = "made in place of another store" if prepared.replaced else "made"
    echo(f"{prepared.folder}: {made if prepared.fresh else 'nothing new to do'}")
    for split in prepared.splits:
        echo(f"  {split.name}: {split.utterances} utterances, {split.speakers} speakers, {_duration(split.hours)}")
    if prepared.reports:
        echo(f"  {len(prepared.reports)} reports: {prepared.folder / 'report.txt'}")
    from sqcodec.recipe import available_recipes

    shown = f"recipes/{recipe}" if recipe in available_recipes() else recipe
    features = "" if prepared.folder == Path("data") / prepared.recipe_name else f" --features {prepared.folder}"
    stage = "" if prepared.has_codec else " --stage vocoder"
    echo(f"next: sqcodec train {shown}{stage}{features}{settings}")


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.2f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.1f} s"
