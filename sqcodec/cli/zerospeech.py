"""`sqcodec submit`, `sqcodec abx` and `sqcodec bitrate`: ZeroSpeech 2019 and its measures."""

import json
from pathlib import Path

import click

from sqcodec.cli.options import PATH, cpu_device_option, json_option, model_option, vocoder_option
from sqcodec.cli.wording import echo_notes

_LEADERBOARD = click.option("--leaderboard", is_flag=True, help="Show the result among the published entries.")


@click.command()
@click.argument("challenge", type=click.Choice(["zerospeech2019"]), required=False)
@click.argument("model", required=False)
@click.option("--data", type=PATH, help="The challenge's data: 2019/, or the folder that holds english/.")
@click.option("--out", type=PATH, help="New folder for the submission.")
@click.option("--synthesis", type=PATH, help="Lines of a test file and a voice [default: synthesis.txt of the data].")
@vocoder_option
@click.option("--author", default="anonymous", show_default=True, help="For metadata.yaml.")
@click.option("--affiliation", default="none", show_default=True, help="For metadata.yaml.")
@click.option("--check", "checked", type=PATH, metavar="DIR", help="Check the submission in DIR instead of making one.")
@cpu_device_option
def submit(
    challenge: str | None,
    model: str | None,
    data: Path | None,
    out: Path | None,
    synthesis: Path | None,
    vocoder: str | None,
    author: str,
    affiliation: str,
    checked: Path | None,
    device: str,
) -> None:
    """Make the submission of MODEL to a challenge, or check one.

    \b
    Example: sqcodec submit zerospeech2019 runs/zerospeech2019 --data 2019 --out submission
             sqcodec submit --check submission --data 2019
    """
    from sqcodec.pipeline.measuring import submission

    if checked is not None:
        complaints = submission.check_submission(checked, data=data)
        for complaint in complaints:
            click.echo(complaint)
        click.echo(
            f"{checked}: {len(complaints)} complaints" if complaints else f"{checked}: as the challenge wants it"
        )
        raise SystemExit(1 if complaints else 0)
    if challenge is None or model is None or data is None or out is None:
        raise click.UsageError("expected zerospeech2019 MODEL --data DIR --out DIR, or --check DIR")
    done = submission.submit_zerospeech2019(
        model,
        out,
        data=data,
        synthesis=synthesis,
        vocoder=vocoder,
        author=author,
        affiliation=affiliation,
        device=device,
    )
    echo_notes(done.notes)
    click.echo(f"{done.folder}: vectors of {done.texts} files, {done.sounds} synthesised")


@click.command()
@click.argument("task", type=PATH)
@click.argument("features", type=PATH, required=False)
@model_option
@click.option("--data", type=PATH, help="Recordings of the task's files, for --model instead of FEATURES.")
@click.option(
    "--distance", type=click.Choice(["cosine", "kl", "levenshtein"]), default="cosine", show_default=True,
    help="Between frames, with time warping; levenshtein between sequences.",
)  # fmt: skip
@click.option("--frequency", type=float, help="Vectors a second in FEATURES [default: 50, or the model's].")
@_LEADERBOARD
@json_option
@cpu_device_option
def abx(
    task: Path,
    features: Path | None,
    model: str | None,
    data: Path | None,
    distance: str,
    frequency: float,
    leaderboard: bool,
    as_json: bool,
    device: str,
) -> None:
    """ABX error across speakers, by context, of the vectors in FEATURES or of a model's codewords.

    \b
    Example: sqcodec abx triphones.item submission/2019/english/test
             sqcodec abx recipes/tiny/speech/2019/english.item --model runs/tiny --data recipes/tiny/speech/2019/english
    TASK is an item file or a task list; FEATURES holds a .txt or .npy for each of its files. See docs/zerospeech.md.
    """
    from sqcodec.pipeline.measuring import units

    done = units.abx(
        task, features=features, model=model, data=data, distance=distance, frequency=frequency, device=device
    )
    if as_json:
        click.echo(json.dumps(done._asdict(), indent=1))
        return
    click.echo(
        f"ABX error {done.error:.2f} % [{done.low:.2f}, {done.high:.2f}] ({distance}), {done.phone_pairs} phone pairs,"
        f" {done.cells} cells, {done.triples} triples"
    )
    if leaderboard:
        click.echo(units.leaderboard("this result", abx=done.error, bit_rate=None))


@click.command()
@click.argument("features", type=PATH)
@click.option("--data", type=PATH, help="The recordings, for their durations.")
@click.option("--list", "list_file", type=PATH, help="Instead: lines of a name and seconds (bitrate_filelist.txt).")
@_LEADERBOARD
@json_option
def bitrate(features: Path, data: Path | None, list_file: Path | None, leaderboard: bool, as_json: bool) -> None:
    """Bit rate of the vectors in FEATURES: by the challenge's formula, and as a decoder would need.

    \b
    Example: sqcodec bitrate submission/2019/english/test --data 2019/english/test
    """
    from sqcodec.pipeline.measuring import units

    done = units.bit_rate(features, data=data, list_file=list_file)
    if as_json:
        click.echo(json.dumps(done._asdict(), indent=1))
        return
    click.echo(f"{done.vectors} vectors, {done.distinct} distinct, in {done.seconds:.1f} s")
    click.echo(f"challenge's formula      {done.challenge:8.1f} bit/s  (frequencies known for nothing)")
    click.echo(f"learning on the way      {done.adaptive:8.1f} bit/s  (can be decoded)")
    click.echo(f"codes of equal length    {done.fixed:8.1f} bit/s  (can be decoded)")
    if leaderboard:
        click.echo(units.leaderboard("this result", abx=None, bit_rate=done.challenge))
