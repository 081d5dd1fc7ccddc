"""`sqcodec vocode`."""

from pathlib import Path
from typing import Literal

import click

from sqcodec.cli.options import PATH_OR_PIPE, device_option, vocoder_option
from sqcodec.cli.wording import echo_result


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@vocoder_option
@click.option(
    "--features", type=click.Choice(["log-mel", "paper-mel"]), help="Features [default: the vocoder's, else log-mel]."
)
@device_option
def vocode(
    recording: Path,
    target: Path,
    vocoder: str | None,
    features: Literal["log-mel", "paper-mel"] | None,
    device: str,
) -> None:
    """Copy synthesis: turn the recording IN into a spectrogram and that into the sound file OUT, without a codec.

    \b
    Example: sqcodec vocode in.wav out.wav --vocoder griffin-lim
    OUT has the distortion of the vocoder alone. - reads standard input or writes a WAV to standard output.
    """
    from sqcodec.pipeline.coding.copy_synthesis import vocode_file

    vocoded = vocode_file(recording, target, vocoder=vocoder, features=features, device=device)
    text = f"{vocoded.seconds:.2f} s at {vocoded.sample_rate} Hz, {vocoded.vocoder}, {vocoded.features}"
    echo_result(target, vocoded.notes, text)
