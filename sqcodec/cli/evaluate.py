"""`sqcodec evaluate`: a model beside other codecs, in figures and to listen to."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from sqcodec.cli.cluster import backend_option, scheduler_option, where
from sqcodec.cli.score import align_option, asr_option, jobs_option, mcd_option, sv_option


@click.command()
@click.argument("model")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of recordings.")
@click.option("--list", "list_file", type=click.Path(path_type=Path), help="TSV with path, speaker, split.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the results.")
@click.option("--bitrate", metavar="RATES", help="Such as 400,1600, of a model with several codebooks [default: all].")
@click.option("--vocoder", metavar="NAME", help="Kind, file or run of the vocoder [default: the best there is].")
@click.option("--baseline", metavar="NAMES", help="Such as codec2-3200,codec2-700C,opus-6.")
@click.option("--listen", type=click.IntRange(min=0), default=8, show_default=True, help="Recordings on the page.")
@mcd_option
@asr_option
@sv_option
@align_option
@jobs_option
@backend_option
@scheduler_option
@click.option("--device", default="cpu", show_default=True, help="For the model: auto, cpu, cuda or cuda:N.")
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
    with _progress_bar() as progress:
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
            progress=progress,
        )
    for note in done.notes:
        click.echo(note, err=True)
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


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error when that is a terminal, otherwise silence."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("files and systems", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
