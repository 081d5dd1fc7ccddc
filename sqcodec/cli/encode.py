"""`sqcodec encode`."""

from functools import partial
from pathlib import Path
from typing import Literal

import click

from sqcodec.cli.options import (
    PATH_OR_PIPE,
    RATE,
    backend_option,
    device_option,
    jobs_option,
    model_option,
    quiet_option,
    raw_option,
    scheduler_option,
    where,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo_done, echo_folder_done, model_text, speaker_text


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("codes", type=PATH_OR_PIPE)
@model_option
@click.option("--speaker", metavar="NAME", help="Whose voice it is [default: the nearest that the model knows].")
@click.option("--format", "form", type=click.Choice(["sqc", "npy"]), help="Of CODES [default: its suffix, else sqc].")
@click.option("--codebooks", type=click.IntRange(min=1), help="How many of the model's to use [default: all].")
@click.option("--bitrate", type=click.FloatRange(min=1), help="As many codebooks as fit this nominal rate, in bit/s.")
@raw_option
@click.option("--rate", type=RATE, help="Sample rate of --raw, in Hz.")
@jobs_option
@backend_option
@scheduler_option
@quiet_option
@device_option
def encode(
    recording: Path,
    codes: Path,
    model: str | None,
    speaker: str | None,
    form: Literal["sqc", "npy"] | None,
    codebooks: int | None,
    bitrate: float | None,
    raw: Literal["s16le", "f32le"] | None,
    rate: int | None,
    jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    device: str,
) -> None:
    """Turn the recording IN into CODES: a compact .sqc, or a .npy for NumPy. A folder gives a folder.

    \b
    Example: sqcodec encode in.wav out.sqc
             sqcodec encode recordings/ codes/ --jobs 4
    Any format, rate and length; - reads standard input or writes standard output.
    Without --model and SQCODEC_MODEL, the newest run under runs/ is used.
    """
    if codebooks and bitrate:
        raise click.UsageError("--codebooks and --bitrate say the same thing twice; give one of them.")
    if (raw is None) != (rate is None):
        raise click.UsageError("--raw and --rate go together: samples without a header need both.")
    if raw and recording.is_dir():
        raise click.UsageError("--raw is for one recording, not for a folder.")
    from sqcodec.pipeline.coding import files, folders

    if recording.is_dir():
        with progress_bar(quiet=quiet) as show:
            all_done = folders.encode_folder(
                recording, codes, model=model, speaker=speaker, device=device, form=form, codebooks=codebooks,
                bit_rate=bitrate, how=folders.Workers(jobs, where(backend, scheduler)),
                progress=partial(show, "files"),
            )  # fmt: skip
        seconds, size = all_done.seconds, all_done.size
        rate_text = f", {size} bytes: {8 * size / seconds:.0f} bit/s" if seconds else ""
        echo_folder_done(codes, all_done, rate=rate_text, quiet=quiet)
        return
    done = files.encode_file(
        recording, codes, model=model, speaker=speaker, device=device, form=form, raw=files.raw_format(raw, rate),
        codebooks=codebooks, bit_rate=bitrate,
    )  # fmt: skip
    chosen = f" (nearest of {done.speakers})" if done.found and done.speakers else ""
    text = (
        f"{done.seconds:.2f} s, {done.codes} codes, {done.size} bytes: {done.bit_rate:.0f} bit/s"
        f" (nominal {done.nominal_bit_rate:.0f}){speaker_text(done.speaker)}{chosen}, model {model_text(done.model)}"
    )
    echo_done(codes, done.notes, text, quiet=quiet)
