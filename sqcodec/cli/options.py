"""Types and options that several commands share."""

import math
from collections.abc import Container
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


class Number(click.FloatRange):
    """A number within a range; no NaN, which compares with nothing."""

    name = "float range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter: outside the range, or none."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


class GivenPath(click.Path):
    """A path; not the empty one, which Python takes for the current folder and a script's unset variable gives."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises BadParameter: it is empty."""
        if not str(value):
            self.fail("got an empty path; expected a file or a folder (. is the current one).", param, ctx)
        return super().convert(value, param, ctx)


class _Given(click.types.StringParamType):
    """A name or a path as text, not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text. Raises BadParameter: it is empty."""
        if not value:
            self.fail("got an empty path or name; leave the option out for the default.", param, ctx)
        return super().convert(value, param, ctx)


PATH = GivenPath(path_type=Path)
PATH_OR_PIPE = GivenPath(path_type=Path, allow_dash=True)
_NAME = _Given()
RATE = click.IntRange(1000, 384000)  # Hz
MCD_DEFINITIONS = ("textbook", "espnet", "versa")
_DEVICES = "auto, cpu, cuda or cuda:N."

model_option = click.option(
    "--model",
    type=_NAME,
    metavar="PATH|NAME",
    help="Model file, run folder, name of a run or of what ships [default: the starred one of 'sqcodec models'].",
)
codes_model_option = click.option(
    "--model",
    type=_NAME,
    metavar="PATH|NAME",
    help="Model of the codes [default: the one that wrote them, by its fingerprint].",
)
vocoder_option = click.option(
    "--vocoder",
    type=_NAME,
    metavar="NAME",
    help="istft, world, griffin-lim, a file or a run [default: the best with weights].",
)
effort_option = click.option(
    "--effort", type=click.IntRange(0, 3), help="How long to search; 0: whole codebooks only [default: 1]."
)
mode_option = click.option(
    "--mode", metavar="MODEL/RATE", help="Of --stream: model and nominal rate in a word, such as speech16k-2/1600."
)
dtx_option = click.option("--dtx", is_flag=True, help="Of --stream: silence takes a byte each 400 ms (docs/live.md).")
protect_option = click.option(
    "--protect",
    type=click.IntRange(1, 25),
    help="Of --stream: a coarse copy of each packet goes with the one so many packets later.",
)
device_option = click.option("--device", default="auto", show_default=True, help=_DEVICES)
codebooks_option = click.option(
    "--codebooks",
    type=click.IntRange(min=1),
    help="Number of codebooks to use [default: the model's, 4 of speech16k].",
)
bitrate_option = click.option(
    "--bitrate",
    type=Number(min=1),
    help="Use the codebooks that fit this nominal bit rate, bit/s [default: the model's, 1600 of speech16k].",
)
cpu_device_option = click.option("--device", default="cpu", show_default=True, help=_DEVICES)
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes."
)
backend_option = click.option(
    "--backend",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Processes of this machine, or a Dask cluster.",
)
scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Scheduler of --backend dask, such as tcp://host:8786."
)
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
raw_option = click.option(
    "--raw", type=click.Choice(["s16le", "f32le"]), help="Sound without a header: one channel of this format."
)
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the recipe."
)
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
list_option = click.option("--list", "list_file", type=PATH, help="TSV with path, speaker, split.")
mcd_option = click.option(
    "--mcd",
    type=click.Choice(MCD_DEFINITIONS),
    default="textbook",
    show_default=True,
    help="Definition of the mel-cepstral distortion.",
)
asr_option = click.option("--asr", metavar="COMMAND|ONNX", help="Recogniser for the word error rate, or pocketsphinx.")
sv_option = click.option(
    "--sv", metavar="COMMAND|ONNX", help="Speaker encoder for the speaker similarity, or resemblyzer."
)
mos_option = click.option("--mos", metavar="COMMAND|ONNX", help="Predictor of quality without a reference, as UTMOS.")
align_option = click.option("--align/--no-align", default=True, show_default=True, help="Find and remove the delay.")


def chosen_backend(backend: str, scheduler: str | None) -> str:
    """The pipeline's `backend` of --backend and --scheduler: `local`, `dask`, or a scheduler's address."""
    if scheduler and backend != "dask":
        raise click.UsageError("--scheduler is for --backend dask.")
    return scheduler or backend


STREAMED = ("stream", "raw", "rate", "bitrate", "model", "mode", "dtx", "protect", "quiet")  # options of --stream


def refuse_cluster(backend: str, scheduler: str | None) -> None:
    """Raise UsageError where a cluster is asked to work on one file."""
    if backend != "local" or scheduler:
        raise click.UsageError("--backend and --scheduler are for folders.")


def refuse_others(what: str, taken: Container[str]) -> None:
    """Raise UsageError, naming `what`: an option is given besides those that are taken, and is not its default."""
    context = click.get_current_context()
    others = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name and parameter.opts[0].startswith("-") and parameter.name not in taken
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
        and context.params[parameter.name] != parameter.get_default(context)
    ]  # fmt: skip
    if others:
        raise click.UsageError(f"{what} does not take {' and '.join(others)}.")
