"""`sqcodec evaluate`: compare a model with other codecs, by metrics and by ear."""

from functools import partial
from pathlib import Path
from typing import Literal

import click

from sqcodec.cli.checks import check_folder
from sqcodec.cli.failures import resumable
from sqcodec.cli.options import (
    PATH,
    align_option,
    asr_option,
    backend_option,
    chosen_backend,
    cpu_device_option,
    effort_option,
    jobs_option,
    list_option,
    mcd_option,
    mos_option,
    scheduler_option,
    sv_option,
    vocoder_option,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo, echo_notes, with_options


@click.command()
@click.argument("model")
@click.option("--data", type=PATH, help="Folder of recordings, or what the paths of --list are relative to.")
@list_option
@click.option("--out", type=PATH, required=True, help="Folder for the results.")
@click.option(
    "--bitrate",
    metavar="RATES",
    help="Bit rates of the model, such as 400,1600: of whole files; with --effort 0, or of a model without a context"
    " model: nominal, of whole codebooks [default: the model's].",
)
@effort_option
@click.option("--against", type=PATH, help="Results of another evaluation to compare bits at equal quality with.")
@click.option(
    "--protocol",
    type=click.Choice(["test-clean"]),
    help="The table that is usual on this set of LibriSpeech in --data.",
)
@vocoder_option
@click.option("--baseline", metavar="NAMES", help="Other codecs, such as codec2-3200,codec2-700C,opus-6.")
@click.option(
    "--listen", type=click.IntRange(min=0), default=8, show_default=True, help="Number of recordings on the page."
)
@click.option("--write-scp", is_flag=True, help="Keep every sound, and list them for VERSA in sounds/*/wav.scp.")
@mcd_option
@asr_option
@sv_option
@mos_option
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
    effort: Literal[0, 1, 2, 3] | None,
    against: Path | None,
    protocol: Literal["test-clean"] | None,
    vocoder: str | None,
    baseline: str | None,
    listen: int,
    write_scp: bool,
    mcd: str,
    asr: str | None,
    sv: str | None,
    mos: str | None,
    align: bool,
    jobs: int,
    backend: str,
    scheduler: str | None,
    device: str,
) -> None:
    """Encode, decode and score every recording with MODEL and with other codecs.

    \b
    Example: sqcodec evaluate runs/vctk --data recordings/ --baseline codec2-3200,opus-6 --out results
             sqcodec evaluate speech16k --data recordings/ --bitrate 600,800,1200 --against results --out rates
             sqcodec evaluate speech16k --protocol test-clean --data LibriSpeech --asr MODEL.onnx --out results
    Writes scores.jsonl (one row per file), scores.json, scores.md and index.html, a page with tables and audio.
    With --protocol also protocol.md, .json and .tex: cost, PESQ, DNSMOS, STOI, WER and similarity of each, and of the
    originals. Run the same command again to continue. Baselines whose programs are not installed are left out.
    """
    if protocol and (data is None or list_file is not None):
        raise click.UsageError("--protocol takes the folder of LibriSpeech, --data DIR, and no --list.")
    if data is None and list_file is None:
        raise click.UsageError("give the recordings: --data DIR, --list TSV, or both.")
    rates = _rates(bitrate)
    check_folder(data)
    from sqcodec.pipeline.measuring import evaluation, scoring

    settings = scoring.make_settings(mcd=mcd, align=align, asr=asr, sv=sv, mos=mos)
    with resumable(), progress_bar() as show:
        result = evaluation.evaluate(
            model,
            out,
            settings,
            data=data,
            list_file=list_file,
            bit_rates=rates,
            effort=effort,
            against=against,
            protocol=protocol,
            vocoder=vocoder,
            baselines=[name for name in (baseline or "").split(",") if name],
            listen=listen,
            write_scp=write_scp,
            jobs=jobs,
            backend=chosen_backend(backend, scheduler),
            device=device,
            progress=partial(show, "files and systems"),
            wording=with_options,
        )
    echo_notes(result.notes)
    echo(result.table)
    echo(f"{result.folder}: {result.files} files, {len(result.systems)} systems; open {result.folder / 'index.html'}")
    if result.errors:
        raise click.ClickException(
            f"{result.errors} of {result.files * len(result.systems)} could not be coded and are in no mean; the notes"
            " say which; mend or remove them, and run the same command again"
        )


def _rates(text: str | None) -> list[float]:
    try:
        rates = [float(part) for part in text.split(",")] if text else []
    except ValueError:
        rates = [0.0]
    if any(rate < 1 for rate in rates):
        raise click.UsageError(f"--bitrate {text}: expected bit/s separated by commas, such as 400,1600")
    return rates
