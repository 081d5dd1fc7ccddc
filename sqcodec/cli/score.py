"""`sqcodec score`: quality of recordings against their references."""

import json
from pathlib import Path

import click

from sqcodec.cli.checks import check_pair
from sqcodec.cli.options import (
    PATH,
    align_option,
    asr_option,
    backend_option,
    chosen_backend,
    jobs_option,
    json_option,
    mcd_option,
    mos_option,
    scheduler_option,
    sv_option,
)
from sqcodec.cli.wording import echo, echo_notes, name_text, with_options


@click.command()
@click.argument("reference", type=PATH)
@click.argument("degraded", type=PATH)
@mcd_option
@asr_option
@sv_option
@mos_option
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
    mos: str | None,
    align: bool,
    jobs: int,
    backend: str,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Score each recording in DEGRADED against that of the same name in REFERENCE; or score one file against another.

    \b
    Example: sqcodec score originals/ decoded/
    Recordings of any format and rate are resampled to 16 kHz. The 95 % intervals come from a bootstrap over files.
    --asr, --sv and --mos take a command that reads a WAV path, or an ONNX model: see docs/evaluation.md.
    """
    check_pair(reference, degraded)
    from sqcodec.pipeline.measuring import scoring

    settings = scoring.make_settings(mcd=mcd, align=align, asr=asr, sv=sv, mos=mos)
    result = scoring.score_folders(reference, degraded, settings, jobs=jobs, backend=chosen_backend(backend, scheduler))
    echo_notes(result.notes)
    tree = scoring.as_tree(result)
    if as_json or result.files:
        echo(with_options(json.dumps(tree, indent=1)) if as_json else scoring.as_text(result, settings))
    if result.unread:
        listed = "\n".join(f"  {name_text(reason)}" for reason in result.unread.values())
        raise click.ClickException(f"{len(result.unread)} recordings could not be read:\n{listed}")
