"""`sqcodec encode`."""

from pathlib import Path
from typing import Literal

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
    codebooks_option,
    device_option,
    dtx_option,
    effort_option,
    jobs_option,
    json_option,
    mode_option,
    model_option,
    protect_option,
    quiet_option,
    raw_option,
    refuse_cluster,
    refuse_others,
    scheduler_option,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo_folder_result, echo_json, echo_messages, echo_result, model_text, speaker_text

_MESSAGE = ("max_bytes", "effort", "model", "raw", "rate", "device", "quiet", "as_json")


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("codes", type=PATH_OR_PIPE)
@model_option
@click.option("--speaker", metavar="NAME", help="Speaker of IN [default: the nearest speaker of the model].")
@click.option(
    "--format", "form", type=click.Choice(["sqc", "npy"]), help="Format of CODES [default: by its suffix, else sqc]."
)
@click.option("--dtype", type=click.Choice(["uint16", "int32"]), help="Type of the codes in a .npy [default: uint16].")
@codebooks_option
@click.option(
    "--bitrate",
    type=Number(min=1),
    help="Bit rate of the whole file, bit/s. Of a .npy, with --effort 0, or of a model without a context model: use the"
    " codebooks that fit this nominal bit rate.",
)
@click.option("--quality", type=Number(-30, 40), help="A fixed quality instead: the bits follow the speech.")
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    help="Fit the recording into this many bytes; where CODES is a voice message (.bin), each message [default: 230].",
)
@effort_option
@click.option(
    "--coder",
    type=click.Choice(["tables", "context"]),
    help="What a .sqc is coded with; tables: for sqcodec 0.1 [default: context, where the model has one].",
)
@click.option(
    "--block",
    type=Number(0.5, 10),
    help="Seconds of a block of a .sqc: what a damaged byte costs [default: 10].",
)
@raw_option
@click.option("--rate", type=RATE, help="Sample rate of --raw input, Hz.")
@click.option("--stream", is_flag=True, help="Packets of 40 ms as the samples come; needs --raw s16le --rate.")
@mode_option
@dtx_option
@protect_option
@jobs_option
@backend_option
@scheduler_option
@quiet_option
@json_option
@device_option
def encode(
    recording: Path,
    codes: Path,
    model: str | None,
    speaker: str | None,
    form: Literal["sqc", "npy"] | None,
    dtype: Literal["uint16", "int32"] | None,
    codebooks: int | None,
    bitrate: float | None,
    quality: float | None,
    max_bytes: int | None,
    effort: Literal[0, 1, 2, 3] | None,
    coder: Literal["tables", "context"] | None,
    block: float | None,
    raw: Literal["s16le", "f32le"] | None,
    rate: int | None,
    stream: bool,
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
    """Encode the recording IN to CODES (a compact .sqc, or a .npy for NumPy), or a folder to a folder.

    \b
    Example: sqcodec encode in.wav out.sqc
             sqcodec encode in.wav out.sqc --bitrate 800
             sqcodec encode in.wav message.bin --max-bytes 230 --model speech16k
             sqcodec encode recordings/ codes/ --jobs 4
    IN has any format, rate and length. - reads standard input or writes to standard output.
    The model is --model, else SQCODEC_MODEL, else the newest finished one under runs/, else the one that ships.
    """
    asked = {"--codebooks": codebooks, "--bitrate": bitrate, "--quality": quality, "--max-bytes": max_bytes}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other; give one of them.")
    if (raw is None) != (rate is None):
        raise click.UsageError("--raw and --rate need each other: samples without a header have no rate.")
    if raw and is_folder(recording):
        raise click.UsageError("--raw needs a file, not a folder.")
    if stream:
        if raw != "s16le" or rate is None:
            raise click.UsageError("--stream needs --raw s16le and --rate.")
        refuse_others("--stream", (*STREAMED, "device") if device == "cpu" else STREAMED)
        if mode and (model or bitrate):
            raise click.UsageError("--mode names the model and the rate; leave out --model and --bitrate.")
        from sqcodec.pipeline.coding import live

        agreed = live.Agreed(mode, model, bitrate)
        done = live.encode_live(recording, codes, agreed=agreed, rate=rate, extras=live.Extras(dtx, protect or 0))
        text = f"{done.packets} packets of {done.packet_bytes} bytes, {done.seconds:.2f} s, mode {done.mode}"
        notes = [done.note] if done.note else []
        echo_result(codes, notes, f"{text}, {model_text(done.model, done.model_reason)}", quiet=quiet)
        return
    if dtx or protect or mode:
        raise click.UsageError("--mode, --dtx and --protect need --stream.")
    from sqcodec.pipeline.coding import files, folders
    from sqcodec.pipeline.coding.rate_control import Options

    if codes.suffix.lower() == ".bin" and not is_folder(recording):
        refuse_others("A message (.bin)", _MESSAGE)
        if effort == 0:
            raise click.UsageError("A message (.bin) takes --effort 1 to 3.")
        from sqcodec.pipeline.coding.messages import DEFAULT_BYTES, encode_messages

        messages = encode_messages(
            recording, codes, model=model, device=device, raw=files.raw_format(raw, rate),
            max_bytes=max_bytes or DEFAULT_BYTES, effort=effort or None,
        )  # fmt: skip
        if as_json:
            echo_json(codes, messages.encoded.as_json() | {"files": [str(file) for file in messages.files]})
        else:
            echo_messages(messages, quiet=quiet)
        return
    if effort and bitrate is None and quality is None and max_bytes is None:
        raise click.UsageError("--effort is of the search for --bitrate, --quality or --max-bytes; give one of them.")
    if max_bytes and not codes.suffix and str(codes) != "-" and not codes.exists() and not is_folder(recording):
        raise click.UsageError(
            f"{codes}: name it {codes}.bin for messages of --max-bytes, or {codes}.sqc for one file."
        )
    options = Options(
        codebooks=codebooks, bit_rate=bitrate, quality=quality, max_bytes=max_bytes, effort=effort, coder=coder
    )
    if is_folder(recording):
        with resumable(), progress_bar(quiet=quiet) as show:
            folder = folders.encode_folder(
                recording, codes, model=model, speaker=speaker, device=device, form=form, options=options,
                dtype=dtype, block=block, workers=folders.Workers(jobs, chosen_backend(backend, scheduler)),
                progress=show,
            )  # fmt: skip
        seconds, size = folder.seconds, folder.size
        rate_text = f", {size} bytes: {8 * size / seconds:.0f} bit/s" if seconds else ""
        echo_folder_result(codes, folder, rate=rate_text, quiet=quiet, as_json=as_json)
        return
    refuse_cluster(backend, scheduler)
    with progress_bar(quiet=quiet) as show:
        encoded = files.encode_file(
            recording, codes, model=model, speaker=speaker, device=device, form=form, raw=files.raw_format(raw, rate),
            options=options, dtype=dtype, block=block, progress=show,
        )  # fmt: skip
    if as_json:
        echo_json(codes, encoded.as_json())
        return
    searched = f" (nearest of {encoded.speakers})" if encoded.speaker_searched and encoded.speakers else ""
    text = (
        f"{encoded.seconds:.2f} s, {encoded.codes} codes, {encoded.size} bytes: {encoded.bit_rate:.0f} bit/s"
        f" (nominal {encoded.nominal_bit_rate:.0f}){speaker_text(encoded.speaker)}{searched},"
        f" {model_text(encoded.model, encoded.model_reason)}"
    )
    echo_result(codes, [note.text for note in encoded.notes], text, quiet=quiet)
