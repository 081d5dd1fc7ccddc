"""`sqcodec decode`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sqcodec.cli.checks import is_folder
from sqcodec.cli.failures import resumable
from sqcodec.cli.options import (
    PATH_OR_PIPE,
    RATE,
    STREAMED,
    Number,
    backend_option,
    chosen_backend,
    codes_model_option,
    device_option,
    dtx_option,
    jobs_option,
    json_option,
    mode_option,
    protect_option,
    quiet_option,
    raw_option,
    refuse_cluster,
    refuse_others,
    scheduler_option,
    vocoder_option,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo_folder_result, echo_json, echo_result, model_text, speaker_text

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.outcomes import Decoded

_MESSAGE = ("model", "vocoder", "rate", "raw", "recover", "device", "quiet", "as_json")


@click.command()
@click.argument("sources", metavar="CODES", nargs=-1, required=True, type=PATH_OR_PIPE)
@click.argument("recording", metavar="OUT", type=PATH_OR_PIPE)
@codes_model_option
@click.option("--speaker", metavar="NAME", help="Speaker of the output [default: the speaker stored in CODES].")
@vocoder_option
@click.option("--rate", type=RATE, help="Sample rate of OUT, Hz [default: the model's].")
@click.option(
    "--recover", is_flag=True, help="Decode what is intact of a .sqc or of messages; the rest becomes silence."
)
@click.option(
    "--offset",
    type=Number(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Where in the recording OUT begins.",
    show_default=True,
)
@click.option(
    "--duration", type=Number(min=0, min_open=True), metavar="SECONDS", help="Length of OUT. [default: to the end]"
)
@click.option("--row", metavar="N|NAME", help="Row of a shard of 'sqcodec export', by number from 0 or name.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the vocoder's network; bfloat16 is quicker on some machines, and sounds different on each.",
)
@raw_option
@click.option("--stream", is_flag=True, help="Samples as the packets of 40 ms come; needs --raw s16le.")
@click.option("--bitrate", type=Number(min=1), help="Nominal bit rate of the packets of --stream, bit/s.")
@mode_option
@dtx_option
@protect_option
@jobs_option
@backend_option
@scheduler_option
@quiet_option
@json_option
@device_option
def decode(
    sources: tuple[Path, ...],
    recording: Path,
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int | None,
    recover: bool,
    offset: float,
    duration: float | None,
    row: str | None,
    precision: Literal["float32", "bfloat16"],
    raw: Literal["s16le", "f32le"] | None,
    stream: bool,
    bitrate: float | None,
    mode: str | None,
    dtx: bool,
    protect: int | None,
    jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
    device: str,
) -> None:
    """Decode CODES (.sqc or .npy, or a row of an export) to the sound file OUT (.wav, .flac or .ogg), or a folder to
    a folder of WAV files.

    \b
    Example: sqcodec decode out.sqc out.wav --speaker p225
             sqcodec decode out.sqc part.wav --offset 1 --duration 0.5
             sqcodec decode codes/ decoded/ --jobs 4
             sqcodec decode message.bin out.wav --model speech16k
    The fingerprint in CODES finds the model. - reads standard input or writes a WAV to standard output.
    """
    codes = sources[0]
    if len(sources) > 1 and any(source.suffix.lower() != ".bin" for source in sources):
        raise click.UsageError("One of CODES at a time; several messages (.bin) become one sound.")
    if is_folder(codes) and (raw or recover or row or offset or duration):
        raise click.UsageError("--raw, --recover, --offset, --duration and --row need a file, not a folder.")
    if stream:
        if raw != "s16le":
            raise click.UsageError("--stream needs --raw s16le.")
        refuse_others("--stream", (*STREAMED, "device") if device == "cpu" else STREAMED)
        if mode and (model or bitrate):
            raise click.UsageError("--mode names the model and the rate; leave out --model and --bitrate.")
        from sqcodec.pipeline.coding import live

        agreed = live.Agreed(mode, model, bitrate)
        done = live.decode_live(codes, recording, agreed=agreed, rate=rate, extras=live.Extras(dtx, protect or 0))
        text = f"{done.seconds:.2f} s of {done.packets} packets, mode {done.mode}"
        notes = [done.note] if done.note else []
        echo_result(recording, notes, f"{text}, {model_text(done.model, done.model_reason)}", quiet=quiet)
        return
    if dtx or protect or mode:
        raise click.UsageError("--mode, --dtx and --protect need --stream.")
    if bitrate:
        raise click.UsageError("--bitrate needs --stream: files name the rate that they were made at.")
    from sqcodec.pipeline.coding import files, folders
    from sqcodec.pipeline.coding.excerpts import Excerpt

    if codes.suffix.lower() == ".bin" and not is_folder(codes):
        refuse_others("A message (.bin)", _MESSAGE)
        from sqcodec.pipeline.coding.joined_messages import decode_messages

        decoded = decode_messages(
            sources, recording, model=model, vocoder=vocoder, rate=rate, device=device, raw=raw, recover=recover
        )
        _echo_decoded(decoded, recording, quiet=quiet, as_json=as_json, lost="lost messages")
        return
    if is_folder(codes):
        with resumable(), progress_bar(quiet=quiet) as show:
            folder = folders.decode_folder(
                codes, recording, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device,
                precision=precision, workers=folders.Workers(jobs, chosen_backend(backend, scheduler)),
                progress=show,
            )  # fmt: skip
        echo_folder_result(recording, folder, quiet=quiet, as_json=as_json)
        return
    refuse_cluster(backend, scheduler)
    with progress_bar(quiet=quiet) as show:
        decoded = files.decode_file(
            codes, recording, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device,
            precision=precision, recover=recover, row=row, raw=raw, progress=show,
            excerpt=Excerpt(offset, duration),
        )  # fmt: skip
    _echo_decoded(decoded, recording, quiet=quiet, as_json=as_json, lost=f"{codes}: damaged: lost codes")


def _echo_decoded(decoded: "Decoded", recording: Path, *, quiet: bool, as_json: bool, lost: str) -> None:
    """Print what decoding gave. lost: what to call parts of it that are. Raises ClickException: there are some."""
    text = (
        f"{decoded.seconds:.2f} s at {decoded.sample_rate} Hz{speaker_text(decoded.speaker)},"
        f" {model_text(decoded.model)}"
    )
    if as_json:
        echo_json(recording, decoded.as_json())
    else:
        echo_result(recording, [note.text for note in decoded.notes], text, quiet=quiet)
    if decoded.lost:
        spans = ", ".join(f"{span.start:.2f} to {span.stop:.2f} s" for span in decoded.lost)
        raise click.ClickException(f"{lost} became silence, {spans}")
