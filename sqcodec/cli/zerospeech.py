"""`sqcodec submit`, `sqcodec abx` and `sqcodec bitrate`: ZeroSpeech 2019 and its metrics."""

import json
from pathlib import Path

import click

from sqcodec.cli.options import PATH, Number, cpu_device_option, json_option, model_option, vocoder_option
from sqcodec.cli.wording import echo, echo_notes

_LEADERBOARD = click.option("--leaderboard", is_flag=True, help="Show the result with the published entries.")


@click.command()
@click.argument("challenge", type=click.Choice(["zerospeech2019"]), required=False)
@click.argument("model", required=False)
@click.option("--data", type=PATH, help="Data of the challenge: 2019/, or the folder with english/.")
@click.option("--out", type=PATH, help="New folder for the submission.")
@click.option(
    "--synthesis", type=PATH, help="List of test files and target speakers [default: synthesis.txt of --data]."
)
@vocoder_option
@click.option("--author", default="anonymous", show_default=True, help="For metadata.yaml.")
@click.option("--affiliation", default="none", show_default=True, help="For metadata.yaml.")
@click.option("--check", "checked", type=PATH, metavar="DIR", help="Check the submission in DIR, write none.")
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
    """Write the submission of MODEL to a challenge, or check one.

    \b
    Example: sqcodec submit zerospeech2019 runs/zerospeech2019 --data 2019 --out submission
             sqcodec submit --check submission --data 2019
    """
    from sqcodec.pipeline.measuring import submission

    if checked is not None:
        problems = submission.check_submission(checked, data=data)
        for problem in problems:
            echo(problem)
        echo(f"{checked}: {len(problems)} problems" if problems else f"{checked}: a valid submission")
        raise SystemExit(1 if problems else 0)
    if challenge is None or model is None or data is None or out is None:
        raise click.UsageError("expected zerospeech2019 MODEL --data DIR --out DIR, or --check DIR")
    result = submission.submit_zerospeech2019(
        model,
        out,
        data=data,
        synthesis=synthesis,
        vocoder=vocoder,
        author=author,
        affiliation=affiliation,
        device=device,
    )
    echo_notes(result.notes)
    echo(f"{result.folder}: vectors of {result.texts} files, {result.sounds} synthesised")


@click.command()
@click.argument("task", type=PATH)
@click.argument("features", type=PATH, required=False)
@model_option
@click.option("--data", type=PATH, help="Recordings of the task's files, for --model in place of FEATURES.")
@click.option(
    "--distance", type=click.Choice(["cosine", "kl", "levenshtein", "levenshtein-normalised"]), default="cosine",
    show_default=True,
    help="Between frames, with dynamic time warping; levenshtein: edits between sequences.",
)  # fmt: skip
@click.option(
    "--frequency",
    type=Number(min=0, min_open=True),
    help="Vectors per second in FEATURES [default: 50, or the model's].",
)
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
    """ABX error, across speakers and by context, of the vectors in FEATURES or of a model's codewords.

    \b
    Example: sqcodec abx triphones.item submission/2019/english/test
             sqcodec abx recipes/tiny/speech/phones.item --model runs/vctk --data recipes/tiny/speech
    TASK is an item file or a task list; FEATURES has one .txt or .npy per file. See docs/zerospeech.md.
    """
    if (features is None) == (data is None):
        raise click.UsageError("give FEATURES, or recordings for a model with --data DIR, one of them.")
    from sqcodec.pipeline.measuring import units

    result = units.abx(
        task, features=features, model=model, data=data, distance=distance, frequency=frequency, device=device
    )
    if as_json:
        echo(json.dumps(result._asdict(), indent=1))
        return
    echo(
        f"ABX error {result.error:.2f} % [{result.low:.2f}, {result.high:.2f}] ({distance}),"
        f" {result.phone_pairs} phone pairs, {result.cells} cells, {result.triples} triples"
    )
    if leaderboard:
        echo(units.leaderboard("this result", abx=result.error, bit_rate=None))


@click.command()
@click.argument("features", type=PATH)
@click.option("--data", type=PATH, help="Recordings, for their durations.")
@click.option(
    "--list", "list_file", type=PATH, help="In place of --data: lines of name and seconds (bitrate_filelist.txt)."
)
@_LEADERBOARD
@json_option
def bitrate(features: Path, data: Path | None, list_file: Path | None, leaderboard: bool, as_json: bool) -> None:
    """Bit rate of the vectors in FEATURES: by the challenge's formula, and by codes that a decoder can read.

    \b
    Example: sqcodec bitrate submission/2019/english/test --data 2019/english/test
    """
    if (data is None) == (list_file is None):
        raise click.UsageError("give durations: --data DIR or --list FILE, one of them.")
    from sqcodec.pipeline.measuring import units

    result = units.bit_rate(features, data=data, list_file=list_file)
    if as_json:
        echo(json.dumps(result._asdict(), indent=1))
        return
    echo(f"{result.vectors} vectors, {result.distinct} distinct, in {result.seconds:.1f} s")
    echo(f"challenge's formula      {result.challenge:8.1f} bit/s  (symbol frequencies not counted)")
    echo(f"adaptive frequencies     {result.adaptive:8.1f} bit/s  (can be decoded)")
    echo(f"fixed width              {result.fixed:8.1f} bit/s  (can be decoded)")
    if leaderboard:
        echo(units.leaderboard("this result", abx=None, bit_rate=result.challenge))
