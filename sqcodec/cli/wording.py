"""Texts of the command line: the library's notes and errors with option names, results, speakers and models."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.outcomes import FolderResult

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


def echo_json(target: Path, tree: Mapping[str, Any]) -> None:
    """Print a result as JSON, to standard error if `target` is a pipe."""
    click.echo(json.dumps(tree, indent=1), err=str(target) == "-")


def echo_folder_result(
    target: Path, result: "FolderResult", *, rate: str = "", quiet: bool = False, as_json: bool = False
) -> None:
    """As `echo_result`, for a folder. Raises ClickException, which lists the failures, if files failed."""
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1))
    else:
        counts = ", ".join(f"{result.count(outcome)} {outcome}" for outcome in ("new", "redone", "kept", "failed"))
        notes = [f"{kind}, {files} file{'s' * (files > 1)}: {text}" for kind, files, text in result.note_counts]
        echo_result(target, (*result.notes, *notes), f"{counts}; {result.seconds:.2f} s{rate}", quiet=quiet)
    if result.failed:
        listed = "\n".join(f"  {with_options(failure.reason or '')}" for failure in result.failed)
        raise click.ClickException(f"{len(result.failed)} of {len(result.files)} files failed:\n{listed}")


def speaker_text(speaker: str | None) -> str:
    """`, speaker p225`; empty if the model takes any speaker."""
    return f", speaker {speaker}" if speaker else ""


def model_text(path: Path) -> str:
    """The name of a model that ships, else the path."""
    from sqcodec.pipeline.finding.models import SHIPPED

    return path.parent.name if path.is_relative_to(SHIPPED) else str(path)
