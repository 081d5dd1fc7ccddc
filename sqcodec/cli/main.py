"""The `sqcodec` command: groups of commands, each imported on use. Errors become text here."""

import gc
import importlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from sqcodec import __version__
from sqcodec.cli.failures import DEBUG, make_streams_lenient, one_error, without_debug

# group -> command -> (module of sqcodec.cli, one line of help): `sqcodec --help` imports no module
COMMANDS = {
    "Everyday": {
        "encode": ("encode", "Encode a recording to codes."),
        "decode": ("decode", "Decode codes to sound."),
        "vocode": ("vocode", "Turn a recording into its spectrogram and back: the vocoder alone."),
        "export": ("export", "Export the codes of a corpus, for language models."),
        "inspect": ("inspect", "Show the contents of a codes file."),
        "models": ("models", "List the models that ship: bit rates, look-ahead, model cards."),
        "completion": ("completion", "Print the completion script of your shell."),
    },
    "Exploring": {
        "generate": ("explore", "Draw speech-like recordings from a model's prior."),
        "convert": ("explore", "Change the speaker of a recording."),
        "morph": ("explore", "Interpolate between two recordings."),
        "perturb": ("explore", "Replace codes by their nearest codewords."),
    },
    "Measuring": {
        "evaluate": ("evaluate", "Score a model and other codecs, and write a page with audio."),
        "score": ("score", "Score recordings against their references."),
        "abx": ("zerospeech", "ABX error of units across speakers."),
        "bitrate": ("zerospeech", "Bit rate of units: by the challenge's formula, and as coded."),
        "submit": ("zerospeech", "Make or check a submission to ZeroSpeech 2019."),
    },
    "Training": {
        "prep": ("prep", "Turn a corpus into a feature store."),
        "train": ("train", "Train a model, vocoder or prior on a feature store."),
        "tables": ("tables", "Count a model's codes for the entropy coding of .sqc files."),
        "compare": ("compare", "Train several quantisers and tabulate the results."),
        "import-sony": ("sony", "Turn a checkpoint of the official SQ-VAE code into a model."),
        "recipe": ("recipe", "List, show and copy recipes."),
    },
}


class GroupedCommands(click.Group):
    """Imports a command when it is called, and lists the commands in groups."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of the groups."""
        return [name for commands in COMMANDS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None if there is no such command."""
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

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line."""
        make_streams_lenient()
        return super().main(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take --debug out, wherever it stands."""
        args, ctx.meta[DEBUG] = without_debug(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error becomes `Error: ...` and exit status 1."""
        with one_error(debug=ctx.meta[DEBUG]), _unwind_on_sigterm():
            return super().invoke(ctx)


@contextmanager
def _unwind_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does: drafts of output files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@click.command(cls=GroupedCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(DEBUG, is_flag=True, expose_value=False, help="Print the traceback of an error, for a report.")
@click.version_option(__version__, "--version", message="sqcodec %(version)s")
def main() -> None:
    """Neural speech codecs with stochastic quantisation: speech at a few hundred bit/s.

    \b
    sqcodec prep vctk
    sqcodec train recipes/vctk
    sqcodec encode in.wav out.sqc
    sqcodec decode out.sqc out.wav
    """
    # torch creates a million permanent objects on import; the default threshold spends 0.1 s on scanning them
    gc.set_threshold(50_000)
    # pyworld warns on import with some versions of setuptools; a user cannot act on it
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)


def program() -> None:
    """The command line as a process of its own. One that Ctrl-C stops ends by that signal: a shell's loop ends with it.

    A stream that Ctrl-C ends has done its work, and its status is 0.
    """
    heard = []

    def hear(number: int, _frame: object) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background jobs are deaf to it
        signal.signal(signal.SIGINT, hear)
    try:
        main(prog_name="sqcodec")
    except SystemExit as ended:
        if not heard or not ended.code:
            raise
        sys.excepthook = lambda *_: None  # all is said; Python itself ends by the signal, after its own cleaning up
        raise KeyboardInterrupt from None


if __name__ == "__main__":
    program()
