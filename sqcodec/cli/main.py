"""The `sqcodec` command: its commands in groups, each imported when used; errors become text in one place."""

import gc
import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from sqcodec import __version__
from sqcodec.cli.wording import with_options
from sqcodec.errors import SqcodecError

# group -> command -> (module of sqcodec.cli, one line of help): `--help` imports none of the modules
COMMANDS = {
    "Everyday": {
        "encode": ("encode", "Turn a recording into codes."),
        "decode": ("decode", "Turn codes back into sound."),
        "vocode": ("vocode", "A recording to its spectrogram and back: the vocoder alone."),
        "inspect": ("inspect", "Show what a codes file holds."),
        "models": ("models", "What ships: bit rates, look-ahead, model cards."),
        "completion": ("completion", "Print the completion script of your shell."),
    },
    "Exploring": {
        "generate": ("explore", "Draw speech-like recordings from a model's prior."),
        "convert": ("explore", "Give a recording the voice of another speaker."),
        "morph": ("explore", "Go from one recording to another, step by step."),
        "perturb": ("explore", "Replace codes by their neighbours."),
    },
    "Measuring": {
        "evaluate": ("evaluate", "Score a model beside other codecs, and make a page to listen to."),
        "score": ("score", "Score recordings against their references."),
        "abx": ("zerospeech", "ABX error of units across speakers."),
        "bitrate": ("zerospeech", "Bit rate of units: the challenge's, and a decoder's."),
        "submit": ("zerospeech", "Make or check a submission to ZeroSpeech 2019."),
    },
    "Training": {
        "prep": ("prep", "Turn a corpus into a feature store."),
        "train": ("train", "Train the model of a recipe on a feature store."),
        "tables": ("tables", "Count a model's codes, so that .sqc files of it become small."),
        "compare": ("compare", "Train several quantisers and lay the results side by side."),
        "import-sony": ("sony", "Turn a checkpoint of the official SQ-VAE code into a model."),
        "recipe": ("recipe", "List, show and copy recipes."),
    },
}


class GroupedCommands(click.Group):
    """Loads a command when it is called and lists commands by what they are for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, in the order of the groups."""
        return [name for commands in COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None when there is no such command."""
        for commands in COMMANDS.values():
            if cmd_name in commands:
                command = getattr(
                    importlib.import_module(f"sqcodec.cli.{commands[cmd_name][0]}"), cmd_name.replace("-", "_")
                )
                assert isinstance(command, click.Command)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups into the help text."""
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes `Error: ...` and exit status 1."""
        try:
            with _orderly_end():
                return super().invoke(ctx)
        except SqcodecError as error:
            raise click.ClickException(with_options(str(error))) from error
        except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Let SIGTERM unwind as Ctrl-C does, so that no draft of an output file stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command(cls=GroupedCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, "--version", message="sqcodec %(version)s")
def main() -> None:
    """Neural speech codecs with stochastic quantisation: a few hundred bits a second and back.

    \b
    sqcodec prep vctk
    sqcodec train recipes/vctk
    sqcodec encode in.wav out.sqc
    sqcodec decode out.sqc out.wav
    """
    # importing torch makes a million objects that stay: looking for garbage among them takes a tenth of a second
    gc.set_threshold(50_000)
    # importing pyworld says so with some versions of setuptools; it tells a user nothing
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)


if __name__ == "__main__":
    main()
