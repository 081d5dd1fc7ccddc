"""Texts of the command line: the library's notes and errors with option names, results, speakers and models."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.folders import FolderResult

# argument of the library -> option of the command line; the library's texts write `argument`
_OPTIONS = {
    "bit_rate": "--bitrate",
    "fetch": "--download",
    "folder": "--out",
    "form": "--format",
    "list_file": "--list",
    "overrides": "--set",
    **{
        name: f"--{name}"
        for name in (
            "asr", "backend", "codebooks", "data", "device", "jobs", "model", "neighbours", "out", "recover", "resume",
            "scheduler", "speaker", "stage", "strict", "sv", "systems", "target",
        )
    },
}  # fmt: skip
_FLAGS = ("fetch", "recover", "resume", "strict")  # options without a value
_SETTING = rf"(?:`(?:{'|'.join(_FLAGS)})`|`(?:{'|'.join(_OPTIONS)})` [^\s,;)]+)"
_COMMAND = re.compile(rf"'(sqcodec [^']+)' with ({_SETTING}(?: and {_SETTING})*)")


def with_options(text: str) -> str:
    """Replace the arguments in a text of the library by options: choose one with `speaker` -> --speaker.

    A command and its settings become one line to copy: 'sqcodec train X' with `stage` prior and `resume`
    -> 'sqcodec train X --stage prior --resume'.
    """
    text = _COMMAND.sub(lambda found: f"'{found[1]} {found[2].replace(' and `', ' `')}'", text)
    return re.sub(r"`(\w+)`", lambda found: _OPTIONS.get(found[1], found[0]), text)


def echo_notes(notes: Iterable[str]) -> None:
    """Print notes of the library to standard error, one per line."""
    for note in notes:
        click.echo(with_options(note), err=True)


def echo_result(target: Path, notes: Iterable[str], text: str, *, quiet: bool = False) -> None:
    """Print notes to standard error and the result to standard output (to standard error if `target` is a pipe)."""
    if not quiet:
        echo_notes(notes)
        click.echo(f"{target}: {text}", err=str(target) == "-")


def echo_folder_result(target: Path, result: "FolderResult", *, rate: str = "", quiet: bool) -> None:
    """As `echo_result`, for a folder. Raises ClickException, which lists the failures, if files failed."""
    kept = f"; {result.kept} were there already" if result.kept else ""
    echo_result(target, result.notes, f"{result.processed} files, {result.seconds:.2f} s{rate}{kept}", quiet=quiet)
    if result.failed:
        number = len(result.failed) + result.processed + result.kept
        listed = "\n".join(f"  {with_options(failure.reason)}" for failure in result.failed)
        raise click.ClickException(f"{len(result.failed)} of {number} files failed:\n{listed}")


def speaker_text(speaker: str | None) -> str:
    """`, speaker p225`; empty if the model takes any speaker."""
    return f", speaker {speaker}" if speaker else ""


def model_text(path: Path) -> str:
    """The name of a model that ships, else the path."""
    from sqcodec.pipeline.finding.models import SHIPPED

    return path.parent.name if path.is_relative_to(SHIPPED) else str(path)
