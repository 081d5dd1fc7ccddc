"""`sqcodec decode`."""

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
    vocoder_option,
    where,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo_done, echo_folder_done, model_text, speaker_text


@click.command()
@click.argument("codes", type=PATH_OR_PIPE)
@click.argument("recording", metavar="OUT", type=PATH_OR_PIPE)
@model_option
@click.option("--speaker", metavar="NAME", help="Whose voice to give it [default: the one stored in CODES].")
@vocoder_option
@click.option("--rate", type=RATE, help="Sample rate of OUT, in Hz [default: the model's].")
@click.option("--recover", is_flag=True, help="Decode what is intact of a damaged .sqc, the rest as silence.")
@raw_option
@jobs_option
@backend_option
@scheduler_option
@quiet_option
@device_option
def decode(
    codes: Path,
    recording: Path,
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int | None,
    recover: bool,
    raw: Literal["s16le", "f32le"] | None,
    jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    device: str,
) -> None:
    """Turn CODES (.sqc or .npy) back into the sound file OUT (.wav, .flac or .ogg). A folder gives a folder of WAVs.

    \b
    Example: sqcodec decode out.sqc out.wav --speaker p225
             sqcodec decode codes/ decoded/ --jobs 4
    The model that wrote CODES is found by its fingerprint; - reads standard input or writes a WAV to standard output.
    """
    if codes.is_dir() and (raw or recover):
        raise click.UsageError("--raw and --recover are for one file, not for a folder.")
    from sqcodec.pipeline.coding import files, folders

    if codes.is_dir():
        with progress_bar(quiet=quiet) as show:
            all_done = folders.decode_folder(
                codes, recording, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device,
                how=folders.Workers(jobs, where(backend, scheduler)), progress=partial(show, "files"),
            )  # fmt: skip
        echo_folder_done(recording, all_done, quiet=quiet)
        return
    done = files.decode_file(
        codes, recording, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device, recover=recover,
        raw=raw,
    )  # fmt: skip
    text = f"{done.seconds:.2f} s at {done.sample_rate} Hz{speaker_text(done.speaker)}, model {model_text(done.model)}"
    echo_done(recording, done.notes, text, quiet=quiet)
    if done.lost:
        spans = ", ".join(f"{span.start:.0f} to {span.stop:.2f} s" for span in done.lost)
        raise click.ClickException(f"{codes}: damaged: silence where the codes are lost, {spans}")
