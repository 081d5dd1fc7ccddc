"""`sqcodec encode` and `sqcodec decode`."""

from pathlib import Path
from typing import Literal

import click

_MODEL = click.option(
    "--model", metavar="PATH|NAME", help="Model file, run folder, or a name under runs/ [default: SQCODEC_MODEL]."
)
_DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")


_PATH = click.Path(path_type=Path, allow_dash=True)
_RAW = click.option(
    "--raw", type=click.Choice(["s16le", "f32le"]), help="The sound has no header: one channel of this."
)


@click.command()
@click.argument("recording", metavar="IN", type=_PATH)
@click.argument("codes", type=_PATH)
@_MODEL
@click.option("--speaker", metavar="NAME", help="Whose voice it is [default: the nearest that the model knows].")
@click.option("--format", "form", type=click.Choice(["sqc", "npy"]), help="Of CODES [default: its suffix, else sqc].")
@_RAW
@click.option("--rate", type=click.IntRange(1000, 384000), help="Of --raw, in Hz.")
@_DEVICE
def encode(
    recording: Path,
    codes: Path,
    model: str | None,
    speaker: str | None,
    form: Literal["sqc", "npy"] | None,
    raw: Literal["s16le", "f32le"] | None,
    rate: int | None,
    device: str,
) -> None:
    """Turn the recording IN into CODES: a compact .sqc, or a .npy for NumPy.

    \b
    Example: sqcodec encode in.wav out.sqc
    Any format, rate and length; - reads standard input or writes standard output.
    Without --model and SQCODEC_MODEL, the newest run under runs/ is used.
    """
    if (raw is None) != (rate is None):
        raise click.UsageError("--raw and --rate go together: samples without a header need both.")
    from sqcodec.pipeline import files

    done = files.encode_file(
        recording, codes, model=model, speaker=speaker, device=device, form=form, raw=files.raw_format(raw, rate)
    )
    for note in done.notes:
        click.echo(note, err=True)
    chosen = f" (nearest of {done.speakers})" if done.found else ""
    click.echo(
        f"{codes}: {done.seconds:.2f} s, {done.codes} codes, {done.size} bytes: {done.bit_rate:.0f} bit/s"
        f" (nominal {done.nominal_bit_rate:.0f}), speaker {done.speaker}{chosen}, model {done.model}",
        err=str(codes) == "-",
    )


@click.command()
@click.argument("codes", type=_PATH)
@click.argument("recording", metavar="OUT", type=_PATH)
@_MODEL
@click.option("--speaker", metavar="NAME", help="Whose voice to give it [default: the one stored in CODES].")
@click.option(
    "--vocoder", metavar="NAME", help="istft, world, griffin-lim, a file or a run [default: the best there is]."
)
@click.option("--rate", type=click.IntRange(1000, 384000), default=16000, show_default=True, help="Of OUT, in Hz.")
@click.option("--recover", is_flag=True, help="Decode what is intact of a damaged .sqc, the rest as silence.")
@_RAW
@_DEVICE
def decode(
    codes: Path,
    recording: Path,
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int,
    recover: bool,
    raw: Literal["s16le", "f32le"] | None,
    device: str,
) -> None:
    """Turn CODES (.sqc or .npy) back into the sound file OUT (.wav, .flac or .ogg).

    \b
    Example: sqcodec decode out.sqc out.wav --speaker p225
    The model that wrote CODES is found by its fingerprint; - reads standard input or writes a WAV to standard output.
    """
    from sqcodec.pipeline import files

    done = files.decode_file(
        codes, recording, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device, recover=recover,
        raw=raw,
    )  # fmt: skip
    for note in done.notes:
        click.echo(note, err=True)
    click.echo(
        f"{recording}: {done.seconds:.2f} s at {done.sample_rate} Hz, speaker {done.speaker}, model {done.model}",
        err=str(recording) == "-",
    )
    if done.lost:
        spans = ", ".join(f"{span.start:.0f} to {span.stop:.2f} s" for span in done.lost)
        raise click.ClickException(f"{codes}: damaged: silence where the codes are lost, {spans}")
