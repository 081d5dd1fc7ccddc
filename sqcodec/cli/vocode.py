"""`sqcodec vocode`."""

from pathlib import Path
from typing import Literal

import click

_PATH = click.Path(path_type=Path, allow_dash=True)


@click.command()
@click.argument("recording", metavar="IN", type=_PATH)
@click.argument("target", metavar="OUT", type=_PATH)
@click.option(
    "--vocoder", metavar="NAME", help="istft, world, griffin-lim, a file or a run [default: the best there is]."
)
@click.option("--features", type=click.Choice(["log-mel", "paper-mel"]), help="[default: the vocoder's, else log-mel]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def vocode(
    recording: Path,
    target: Path,
    vocoder: str | None,
    features: Literal["log-mel", "paper-mel"] | None,
    device: str,
) -> None:
    """Turn the recording IN into a spectrogram and back into the sound file OUT, without a codec.

    \b
    Example: sqcodec vocode in.wav out.wav --vocoder griffin-lim
    This is how to hear what a vocoder alone costs; - reads standard input or writes a WAV to standard output.
    """
    from sqcodec.pipeline.coding.copy_synthesis import vocode_file

    done = vocode_file(recording, target, vocoder=vocoder, features=features, device=device)
    for note in done.notes:
        click.echo(note, err=True)
    text = f"{done.seconds:.2f} s at {done.sample_rate} Hz, {done.vocoder}, {done.features}"
    click.echo(f"{target}: {text}", err=str(target) == "-")
