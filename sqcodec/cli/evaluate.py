"""`sqcodec evaluate`: a model beside other codecs, in figures and to listen to."""

from functools import partial
from pathlib import Path

import click

from sqcodec.cli.options import (
    PATH,
    align_option,
    asr_option,
    backend_option,
    cpu_device_option,
    jobs_option,
    list_option,
    mcd_option,
    scheduler_option,
    sv_option,
    vocoder_option,
    where,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo_notes


@click.command()
@click.argument("model")
@click.option("--data", type=PATH, help="Folder of recordings.")
@list_option
@click.option("--out", type=PATH, required=True, help="Folder for the results.")
@click.option("--bitrate", metavar="RATES", help="Such as 400,1600, of a model with several codebooks [default: all].")
@vocoder_option
@click.option("--baseline", metavar="NAMES", help="Such as codec2-3200,codec2-700C,opus-6.")
@click.option("--listen", type=click.IntRange(min=0), default=8, show_default=True, help="Recordings on the page.")
@mcd_option
@asr_option
@sv_option
@align_option
@jobs_option
@backend_option
@scheduler_option
@cpu_device_option
def evaluate(
    model: str,
    data: Path | None,
    list_file: Path | None,
    out: Path,
    bitrate: str | None,
    vocoder: str | None,
    baseline: str | None,
    listen: int,
    mcd: str,
    asr: str | None,
    sv: str | None,
    align: bool,
    jobs: int,
    backend: str,
    scheduler: str | None,
    device: str,
) -> None:
    """Encode, decode and score every recording with MODEL and with other codecs.

    \b
    Example: sqcodec evaluate runs/vctk --data recordings/ --baseline codec2-3200,opus-6 --out results
    Writes scores.jsonl (a row a file), scores.json, scores.md and index.html, a page to compare and to listen to.
    An interrupted evaluation goes on where it was. Baselines whose programs are not installed are left out.
    """
    from sqcodec.pipeline.measuring import evaluation, scoring

    settings = scoring.make_settings(mcd=mcd, align=align, asr=asr, sv=sv)
    with progress_bar() as show:
        done = evaluation.evaluate(
            model,
            out,
            settings,
            data=data,
            list_file=list_file,
            bit_rates=_rates(bitrate),
            vocoder=vocoder,
            baselines=[name for name in (baseline or "").split(",") if name],
            listen=listen,
            jobs=jobs,
            backend=where(backend, scheduler),
            device=device,
            progress=partial(show, "files and systems"),
        )
    echo_notes(done.notes)
    click.echo(done.table)
    click.echo(f"{done.folder}: {done.files} files, {len(done.systems)} systems; open {done.folder / 'index.html'}")


def _rates(text: str | None) -> list[float]:
    try:
        rates = [float(part) for part in text.split(",")] if text else []
    except ValueError:
        rates = [0.0]
    if any(rate < 1 for rate in rates):
        raise click.UsageError(f"--bitrate {text}: expected bit/s joined by commas, such as 400,1600")
    return rates
