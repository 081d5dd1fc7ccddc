"""`sqcodec encode` and `sqcodec decode`."""

from pathlib import Path

import click

_MODEL = click.option(
    "--model", metavar="PATH|NAME", help="Model file, run folder, or a name under runs/ [default: SQCODEC_MODEL]."
)
_DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")


@click.command()
@click.argument("recording", metavar="IN", type=click.Path(path_type=Path, allow_dash=True))
@click.argument("codes", type=click.Path(path_type=Path, allow_dash=True))
@_MODEL
@click.option("--speaker", metavar="NAME", help="Whose voice it is [default: the nearest that the model knows].")
@_DEVICE
def encode(recording: Path, codes: Path, model: str | None, speaker: str | None, device: str) -> None:
    """Turn the recording IN into CODES, a NumPy file.

    \b
    Example: sqcodec encode in.wav codes.npy
    Any format, rate and length; - reads standard input or writes standard output.
    Without --model and SQCODEC_MODEL, the newest run under runs/ is used.
    """
    from sqcodec.pipeline import files

    done = files.encode_file(recording, codes, model=model, speaker=speaker, device=device)
    for note in done.notes:
        click.echo(note, err=True)
    chosen = f" (nearest of {done.speakers})" if done.found else ""
    click.echo(
        f"{codes}: {done.seconds:.2f} s, {done.codes.indices.size} codes, {done.bit_rate:.0f} bit/s,"
        f" speaker {done.codes.speaker}{chosen}, model {done.model}",
        err=str(codes) == "-",
    )


@click.command()
@click.argument("codes", type=click.Path(path_type=Path, allow_dash=True))
@click.argument("recording", metavar="OUT", type=click.Path(path_type=Path, allow_dash=True))
@_MODEL
@click.option("--speaker", metavar="NAME", help="Whose voice to give it [default: the one stored in CODES].")
@click.option("--vocoder", type=click.Choice(["griffin-lim"]), default="griffin-lim", show_default=True)
@click.option("--rate", type=click.IntRange(1000, 384000), default=16000, show_default=True, help="Of OUT, in Hz.")
@_DEVICE
def decode(
    codes: Path, recording: Path, model: str | None, speaker: str | None, vocoder: str, rate: int, device: str
) -> None:
    """Turn CODES back into the sound file OUT (.wav, .flac or .ogg).

    \b
    Example: sqcodec decode codes.npy out.wav --speaker p225
    The model that wrote CODES is found by its fingerprint; - reads standard input or writes a WAV to standard output.
    """
    from sqcodec.pipeline import files

    done = files.decode_file(codes, recording, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device)
    for note in done.notes:
        click.echo(note, err=True)
    click.echo(
        f"{recording}: {done.seconds:.2f} s at {done.sample_rate} Hz, speaker {done.speaker}, model {done.model}",
        err=str(recording) == "-",
    )
