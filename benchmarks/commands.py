"""The commands of `python -m benchmarks` that measure one thread of the CPU: rows of one table, and five reports."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

import sqcodec
from benchmarks import (
    codes,
    conditions,
    damage,
    engines,
    figure,
    kills,
    live,
    memory,
    narrow,
    needs,
    networks,
    quantizer,
    rate,
    sounds,
    throughput,
    training,
    true_rates,
    use,
    vocoders,
)
from benchmarks.speech import TINY
from benchmarks.timing import Setting, make_row, table
from sqcodec.spectrogram import FEATURES

ROWS = quantizer.ROWS | training.ROWS | use.ROWS | throughput.ROWS | networks.ROWS | true_rates.ROWS
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
runs_option = click.option(
    "--runs", type=click.IntRange(min=1), default=7, show_default=True, help="Measurements of each figure."
)


@click.command(epilog=f"Rows: {', '.join(ROWS)}.")
@click.argument("names", nargs=-1, metavar="[ROW]...", type=click.Choice(list(ROWS)))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@runs_option
@click.option("--speech", type=FOLDER, default=TINY, help="Folder of recordings. [default: the speech that ships]")
def rows(names: tuple[str, ...], as_json: bool, runs: int, speech: Path) -> None:
    """Measure rows of the table of docs/performance.md; all of them if none is named.

    Each figure is a time, a size or a ratio; both sides of a ratio are measured in this run, in turns.
    """
    setting = Setting(runs, speech)
    measured = [make_row(name, ROWS[name](setting)) for name in names or ROWS]
    click.echo(json.dumps([asdict(row) for row in measured], indent=1) if as_json else table(measured))


@click.command("codes")
@click.argument("model")
@click.argument("folder", type=FOLDER)
@click.option("--features", type=FOLDER, help="The store that the model was trained on, to measure order 2 as well.")
@click.option("--every", type=click.IntRange(min=1), default=1, show_default=True, help="Take each N-th recording.")
@runs_option
def codes_command(model: str, folder: Path, features: Path | None, every: int, runs: int) -> None:
    """Bit rates, file sizes and speed of the codes of the recordings in FOLDER."""
    _echo(codes.report(model, folder, features=features, every=every, runs=runs))


@click.command("damage")
@click.argument("model")
@click.option("--speech", type=FOLDER, default=TINY, help="Folder of recordings. [default: the speech that ships]")
@click.option("--seconds", type=float, default=60, show_default=True, help="Length of the recording.")
@click.option("--copies", type=click.IntRange(min=1), default=200, show_default=True, help="At each error rate.")
def damage_command(model: str, speech: Path, seconds: float, copies: int) -> None:
    """What survives of a file at bit error rates, by the length of its blocks."""
    _echo(damage.report(model, speech, seconds=seconds, copies=copies))


@click.command("kills")
@click.option(
    "--moments", type=click.IntRange(min=1), default=20, show_default=True, help="Of each command and signal."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--command", "commands", multiple=True, type=click.Choice([scenario.name for scenario in kills.SCENARIOS]),
    help="One of the commands, several times for several. [default: all]",
)  # fmt: skip
def kills_command(moments: int, seed: int, commands: tuple[str, ...]) -> None:
    """What SIGKILL, SIGTERM and SIGINT at random moments leave of an output."""
    _echo(kills.report(moments=moments, seed=seed, commands=commands))


@click.command("memory")
@click.option("--minutes", type=float, multiple=True, default=(10, 180), show_default=True, help="Lengths to measure.")
@click.option("--narrow", is_flag=True, help="A small network, which is quicker.")
def memory_command(minutes: tuple[float, ...], narrow: bool) -> None:
    """Memory of encode and decode against that of 10 s."""
    _echo(memory.report(minutes, narrow=narrow))


@click.command("narrow")
@click.option("--model", default="speech16k", show_default=True)
@click.option("--speech", type=FOLDER, default=TINY, help="Folder of recordings. [default: the speech that ships]")
@click.option("--number", type=click.IntRange(min=1), default=12, show_default=True, help="Recordings.")
@click.option("--seconds", type=float, default=4, show_default=True, help="Of each recording, at most.")
def narrow_command(model: str, speech: Path, number: int, seconds: float) -> None:
    """Live coding of 8 kHz input, beside 16 kHz and Codec 2."""
    _echo(narrow.report(model, speech, number=number, seconds=seconds))


@click.command("needs")
@click.option("--model", default="speech16k", show_default=True)
def needs_command(model: str) -> None:
    """What a decoder of packets in another language needs: products, weights, state, functions."""
    _echo(needs.report(model))


@click.command("engines")
@click.option("--seconds", type=float, default=60, show_default=True, help="Length of the long recording.")
@click.option("--speech", type=FOLDER, default=TINY, help="Folder of recordings. [default: the speech that ships]")
@click.option("--avx2", is_flag=True, help="As on a processor of AVX2 alone.")
@runs_option
def engines_command(seconds: float, speech: Path, avx2: bool, runs: int) -> None:
    """What ships in NumPy and in torch: start, speed, memory; idle and beside a busy process."""
    _echo(engines.report(Setting(runs, speech), seconds=seconds, avx2=avx2))


@click.command("vocoders")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER[:N]...")
@click.option(
    "--vocoder", "names", multiple=True, default=["griffin-lim"], show_default=True, help="Name of a vocoder."
)
@click.option("--iterations", type=int, multiple=True, help="istft once more with so many iterations of refinement.")
@click.option("--features", type=click.Choice(list(FEATURES)), default="log-mel", show_default=True)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw spectrograms into this PNG.")
@runs_option
def vocoders_command(
    folders: tuple[str, ...],
    names: tuple[str, ...],
    iterations: tuple[int, ...],
    features: Literal["paper-mel", "log-mel"],
    picture: Path | None,
    runs: int,
) -> None:
    """Scores and speed of vocoders on the recordings in each FOLDER, or each N-th of them."""
    _echo(
        vocoders.report(
            folders, names=names, iterations=iterations, features=FEATURES[features], picture=picture, runs=runs
        )
    )


@click.command("growth")
@click.option("--out", type=FOLDER, required=True, help="Folder for the pictures.")
@runs_option
def growth_command(out: Path, runs: int) -> None:
    """How the cost of a training step grows: with the corpus, the crops, V, K, and processes."""
    figures = training.growth(runs)
    training.draw(figures, out)
    click.echo(json.dumps(figures, indent=1))


@click.command("figure")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/rates.png"), show_default=True)
def figure_command(out: Path) -> None:
    """Draw quality against bit rate from docs/results/speech16k.md: the figure of the README."""
    figure.draw(figure.read_points(figure.RESULTS.read_text("utf-8")), out)
    click.echo(out)


@click.command("rank", hidden=True)
@runs_option
def rank_command(runs: int) -> None:
    """One process of those that torchrun started for `growth`."""
    click.echo(f"seconds={training.rank_seconds(runs)}")


def _systems(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    """Raise BadParameter: no such system."""
    if strange := [name for name in value.split(",") if name not in rate.MEASURED]:
        raise click.BadParameter(f"{strange[0]!r}, expected some of {', '.join(rate.MEASURED)}")
    return value.split(",")


@click.command("rate")
@click.argument("recordings", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Rows, JSON lines; kept, and added to.")
@click.option(
    "--systems",
    default="context,effort 1,effort 2,effort 3",
    show_default=True,
    callback=_systems,
    help="Of MODEL, separated by commas; `context` is whole codebooks, with tables as well.",
)
@click.option("--model", default="speech16k", show_default=True)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the curves here.")
def rate_command(recordings: tuple[Path, ...], out: Path, systems: list[str], model: str, picture: Path | None) -> None:
    """Quality against the true bits of files, for whole codebooks and every effort (docs/results/rate.md)."""
    found = rate.curves(rate.measure(sqcodec.load(model, device="cpu"), recordings, out, systems))
    click.echo(rate.table(found))
    if picture:
        rate.draw(found, picture)


def _bit_rates(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    """Raise BadParameter: no numbers above 0."""
    if not all(word.isdecimal() and int(word) for word in value.split(",")):
        raise click.BadParameter(f"{value!r}, expected bit/s separated by commas, such as 800,1600")
    return [int(word) for word in value.split(",")]


@click.command("sounds")
@click.argument("recordings", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--rates", default="800,1600", show_default=True, callback=_bit_rates, help="bit/s, separated by commas.")
@click.option("--model", default="speech16k", show_default=True)
def sounds_command(recordings: tuple[Path, ...], rates: list[int], model: str) -> None:
    """Bits of silence, unvoiced and voiced sounds, and of each stage in them (docs/results/rate.md)."""
    codec = sqcodec.load(model, device="cpu")
    for bit_rate in rates:
        click.echo(sounds.table(sounds.measure(codec, recordings, bit_rate), bit_rate) + "\n")


@click.command("conditions")
@click.argument("folder", type=FOLDER)
@click.option("--also", multiple=True, metavar="NAME=FOLDER", help="Other recordings, as they are.")
@click.option("--model", default="speech16k", show_default=True)
@click.option("--stages", type=click.IntRange(min=1), default=4, show_default=True, help="Codebooks.")
@click.option("--recordings", type=click.IntRange(min=1), default=12, show_default=True, help="Recordings a row.")
@click.option("--seconds", type=float, default=5.0, show_default=True, help="The most of each.")
def conditions_command(
    folder: Path, also: tuple[str, ...], model: str, stages: int, recordings: int, seconds: float
) -> None:
    """Noise, telephone, high and low voices, and other recordings (docs/results/speech16k.md)."""
    others = [(name, Path(path)) for name, _, path in (each.partition("=") for each in also)]
    for each, (_, path) in zip(also, others, strict=True):
        if "=" not in each or not path.is_dir():
            raise click.BadParameter(f"got {each!r}, expected NAME=FOLDER, a folder of recordings", param_hint="--also")
    _echo(conditions.report(model, folder, others, stages=stages, number=recordings, seconds=seconds))


@click.command("live")
@click.option("--model", default="speech16k", show_default=True, help="Sender and receiver.")
@click.option("--speech", type=FOLDER, help="Folder of recordings. [default: SQCODEC_SPEECH/dev, else what ships]")
@click.option("--recordings", type=click.IntRange(min=1), default=12, show_default=True, help="Recordings taken.")
@click.option("--hours", type=float, default=0.25, show_default=True, help="Length of the long stream; 0: none.")
@click.option("--codec2/--no-codec2", default=True, help="Measure Codec 2 as well, which needs c2enc and c2dec.")
def live_command(model: str, speech: Path | None, recordings: int, hours: float, codec2: bool) -> None:
    """Lost packets and wrong bits of a stream, the cost of a packet, and a long stream: tables in Markdown."""
    _echo(live.loss_report(model, speech or live.speech_folder(), recordings=recordings, codec2=codec2))
    _echo(live.cost_report(model))
    if hours:
        _echo(live.day_report(model, hours))


COMMANDS = (
    rows,
    codes_command,
    conditions_command,
    damage_command,
    kills_command,
    memory_command,
    narrow_command,
    needs_command,
    engines_command,
    vocoders_command,
    growth_command,
    figure_command,
    rank_command,
    rate_command,
    sounds_command,
    live_command,
)


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
