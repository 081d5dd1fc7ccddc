"""`sqcodec score`: quality of anybody's recordings against their references."""

import json
from pathlib import Path

import click

from sqcodec.cli.cluster import backend_option, scheduler_option, where

MCD_RECIPES = ("textbook", "espnet", "versa")

mcd_option = click.option(
    "--mcd",
    type=click.Choice(MCD_RECIPES),
    default="textbook",
    show_default=True,
    help="Whose mel-cepstral distortion.",
)
asr_option = click.option("--asr", metavar="COMMAND|ONNX", help="Recogniser for the word error rate.")
sv_option = click.option("--sv", metavar="COMMAND|ONNX", help="Speaker encoder for the similarity of voices.")
align_option = click.option("--align/--no-align", default=True, show_default=True, help="Find and remove the delay.")
jobs_option = click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")


@click.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("degraded", type=click.Path(path_type=Path))
@mcd_option
@asr_option
@sv_option
@align_option
@jobs_option
@backend_option
@scheduler_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def score(
    reference: Path,
    degraded: Path,
    mcd: str,
    asr: str | None,
    sv: str | None,
    align: bool,
    jobs: int,
    backend: str,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Score the recordings below DEGRADED against those of the same names below REFERENCE (or one file against one).

    \b
    Example: sqcodec score originals/ decoded/
    Any format and rate; all is resampled to 16 kHz. 95 % intervals are by bootstrap over files.
    A recogniser or speaker encoder is a command that gets the path of a WAV, or an ONNX model: see docs/evaluation.md.
    """
    from sqcodec.pipeline.measuring import scoring

    settings = scoring.make_settings(mcd=mcd, align=align, asr=asr, sv=sv)
    done = scoring.score_folders(reference, degraded, settings, jobs=jobs, backend=where(backend, scheduler))
    for note in done.notes:
        click.echo(note, err=True)
    click.echo(json.dumps(scoring.as_tree(done), indent=1) if as_json else scoring.as_text(done, settings))
