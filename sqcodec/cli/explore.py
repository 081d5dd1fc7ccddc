"""`sqcodec generate`, `convert`, `morph` and `perturb`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqcodec.cli.checks import check_recordings
from sqcodec.cli.options import PATH, PATH_OR_PIPE, Number, device_option, model_option, seed_option
from sqcodec.cli.wording import echo, echo_notes, echo_result, model_text, speaker_text

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.manipulation import Manipulated


@click.command()
@click.argument("folder", metavar="OUT_DIR", type=PATH)
@click.option("--seconds", type=Number(0.1, 600), default=5.0, show_default=True, help="Length, without the prompt.")
@click.option("--number", type=click.IntRange(min=1), default=8, show_default=True, help="Number of recordings.")
@click.option("--temperature", type=Number(0.01, 10), default=1.0, show_default=True)
@click.option(
    "--top-p",
    type=Number(0, 1),
    default=0.95,
    show_default=True,
    help="Draw from the most probable codes of this total probability.",
)
@click.option("--speaker", metavar="NAME", help="Speaker [default: the prompt's, else random].")
@click.option("--prompt", metavar="IN", type=PATH, help="A recording to continue.")
@seed_option
@model_option
@device_option
def generate(
    folder: Path,
    seconds: float,
    number: int,
    temperature: float,
    top_p: float,
    speaker: str | None,
    prompt: Path | None,
    seed: int,
    model: str | None,
    device: str,
) -> None:
    """Draw speech-like recordings from the model's prior and write them to OUT_DIR as 0001.wav, 0002.wav...

    \b
    Example: sqcodec generate samples --seconds 5 --number 8
    'sqcodec train RECIPE --stage prior' makes the prior.
    """

    from sqcodec.pipeline.coding import generation

    sampling = generation.Sampling(seconds=seconds, number=number, temperature=temperature, top_p=top_p, seed=seed)
    for recording in generation.generate(folder, sampling, speaker=speaker, prompt=prompt, model=model, device=device):
        echo_notes(recording.notes)
        echo(f"{recording.path}: {recording.seconds:.2f} s{speaker_text(recording.speaker)}")


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@click.option("--speaker", required=True, metavar="NAME", help="Speaker of the output.")
@model_option
@device_option
def convert(recording: Path, target: Path, speaker: str, model: str | None, device: str) -> None:
    """Change the speaker of the recording IN to another speaker of the model.

    \b
    Example: sqcodec convert in.wav out.wav --speaker p226
    """
    check_recordings(recording, target=target)
    from sqcodec.pipeline.coding import manipulation

    _echo(target, manipulation.convert_file(recording, target, speaker=speaker, model=model, device=device))


@click.command()
@click.argument("first", metavar="A", type=PATH)
@click.argument("second", metavar="B", type=PATH)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@click.option(
    "--steps", type=click.IntRange(2, 100), default=5, show_default=True, help="Number of steps with A and B."
)
@click.option("--speaker", metavar="NAME", help="Speaker of the output [default: the nearest speaker to A].")
@model_option
@device_option
def morph(
    first: Path, second: Path, target: Path, steps: int, speaker: str | None, model: str | None, device: str
) -> None:
    """Write steps from recording A to recording B to OUT, one after the other: mixed latents, quantised and decoded.

    \b
    Example: sqcodec morph a.wav b.wav out.wav --steps 5
    """
    check_recordings(first, second, target=target)
    from sqcodec.pipeline.coding import manipulation

    result = manipulation.morph_files(first, second, target, steps=steps, speaker=speaker, model=model, device=device)
    _echo(target, result)


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@click.option(
    "--neighbours", type=click.IntRange(min=1), default=5, show_default=True, help="Number of candidates per code."
)
@seed_option
@click.option("--speaker", metavar="NAME", help="Speaker of IN [default: the nearest speaker of the model].")
@model_option
@device_option
def perturb(
    recording: Path, target: Path, neighbours: int, seed: int, speaker: str | None, model: str | None, device: str
) -> None:
    """Replace each code of IN by one of its nearest codewords, drawn uniformly, to hear how smooth the codebook is.

    \b
    Example: sqcodec perturb in.wav out.wav --neighbours 5
    """
    check_recordings(recording, target=target)
    from sqcodec.pipeline.coding import manipulation

    result = manipulation.perturb_file(
        recording, target, neighbours=neighbours, seed=seed, speaker=speaker, model=model, device=device
    )
    _echo(target, result)


def _echo(target: Path, result: "Manipulated") -> None:
    text = (
        f"{result.seconds:.2f} s at {result.sample_rate} Hz{speaker_text(result.speaker)},"
        f" {model_text(result.model, result.model_reason)}"
    )
    echo_result(target, result.notes, text)
