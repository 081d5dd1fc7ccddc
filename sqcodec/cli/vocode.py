"""`sqcodec vocode`."""

from pathlib import Path
from typing import Literal

import click

from sqcodec.cli.options import PATH_OR_PIPE, device_option, vocoder_option
from sqcodec.cli.wording import echo_done


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@vocoder_option
@click.option("--features", type=click.Choice(["log-mel", "paper-mel"]), help="[default: the vocoder's, else log-mel]")
@device_option
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
    text = f"{done.seconds:.2f} s at {done.sample_rate} Hz, {done.vocoder}, {done.features}"
    echo_done(target, done.notes, text)
