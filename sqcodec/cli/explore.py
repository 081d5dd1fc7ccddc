"""`sqcodec generate`, `convert`, `morph` and `perturb`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqcodec.cli.options import PATH, PATH_OR_PIPE, device_option, model_option, seed_option
from sqcodec.cli.wording import echo_done, model_text, speaker_text

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.manipulation import Manipulated


@click.command()
@click.argument("folder", metavar="OUT_DIR", type=PATH)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=5.0, show_default=True, help="Of new speech, each.")
@click.option("--number", type=click.IntRange(min=1), default=8, show_default=True, help="How many recordings.")
@click.option("--temperature", type=click.FloatRange(0.01, 10), default=1.0, show_default=True)
@click.option(
    "--top-p", type=click.FloatRange(0, 1), default=0.95, show_default=True, help="Of the most probable codes."
)
@click.option("--speaker", metavar="NAME", help="Whose voice [default: the prompt's, or one drawn for each].")
@click.option("--prompt", metavar="IN", type=PATH, help="A recording to go on from.")
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

    how = generation.Sampling(seconds=seconds, number=number, temperature=temperature, top_p=top_p, seed=seed)
    for made in generation.generate(folder, how, speaker=speaker, prompt=prompt, model=model, device=device):
        click.echo(f"{made.path}: {made.seconds:.2f} s{speaker_text(made.speaker)}")


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@click.option("--speaker", required=True, metavar="NAME", help="Whose voice to give it.")
@model_option
@device_option
def convert(recording: Path, target: Path, speaker: str, model: str | None, device: str) -> None:
    """Give the recording IN the voice of another speaker of the model.

    \b
    Example: sqcodec convert in.wav out.wav --speaker p226
    """
    from sqcodec.pipeline.coding import manipulation

    _tell(target, manipulation.convert_file(recording, target, speaker=speaker, model=model, device=device))


@click.command()
@click.argument("first", metavar="A", type=PATH)
@click.argument("second", metavar="B", type=PATH)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@click.option("--steps", type=click.IntRange(2, 100), default=5, show_default=True, help="A and B included.")
@click.option("--speaker", metavar="NAME", help="Whose voice to give all of it [default: the nearest to A's].")
@model_option
@device_option
def morph(
    first: Path, second: Path, target: Path, steps: int, speaker: str | None, model: str | None, device: str
) -> None:
    """Go from recording A to recording B: latents mixed step by step and quantised, one step after the other in OUT.

    \b
    Example: sqcodec morph a.wav b.wav out.wav --steps 5
    """
    from sqcodec.pipeline.coding import manipulation

    done = manipulation.morph_files(first, second, target, steps=steps, speaker=speaker, model=model, device=device)
    _tell(target, done)


@click.command()
@click.argument("recording", metavar="IN", type=PATH_OR_PIPE)
@click.argument("target", metavar="OUT", type=PATH_OR_PIPE)
@click.option("--neighbours", type=click.IntRange(min=1), default=5, show_default=True, help="Among how many to draw.")
@seed_option
@click.option("--speaker", metavar="NAME", help="Whose voice it is [default: the nearest that the model knows].")
@model_option
@device_option
def perturb(
    recording: Path, target: Path, neighbours: int, seed: int, speaker: str | None, model: str | None, device: str
) -> None:
    """Replace each code of IN by one of its nearest codewords, drawn evenly: how smooth is the space of the codes?

    \b
    Example: sqcodec perturb in.wav out.wav --neighbours 5
    """
    from sqcodec.pipeline.coding import manipulation

    done = manipulation.perturb_file(
        recording, target, neighbours=neighbours, seed=seed, speaker=speaker, model=model, device=device
    )
    _tell(target, done)


def _tell(target: Path, done: "Manipulated") -> None:
    text = f"{done.seconds:.2f} s at {done.sample_rate} Hz{speaker_text(done.speaker)}, model {model_text(done.model)}"
    echo_done(target, (done.note,) if done.note else (), text)
