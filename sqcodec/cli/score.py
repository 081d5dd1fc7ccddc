"""`sqcodec score`: quality of anybody's recordings against their references."""

import json
from pathlib import Path

import click

from sqcodec.cli.options import (
    PATH,
    align_option,
    asr_option,
    backend_option,
    jobs_option,
    json_option,
    mcd_option,
    scheduler_option,
    sv_option,
    where,
)
from sqcodec.cli.wording import echo_notes, with_options


@click.command()
@click.argument("reference", type=PATH)
@click.argument("degraded", type=PATH)
@mcd_option
@asr_option
@sv_option
@align_option
@jobs_option
@backend_option
@scheduler_option
@json_option
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
    echo_notes(done.notes)
    tree = scoring.as_tree(done)
    click.echo(with_options(json.dumps(tree, indent=1)) if as_json else scoring.as_text(done, settings))
