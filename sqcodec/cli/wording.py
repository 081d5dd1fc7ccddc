"""Texts of the command line: the library's notes and errors with option names, results, speakers and models."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.messages import EncodedMessages
    from sqcodec.pipeline.coding.outcomes import FolderResult

# argument of the library -> option of the command line; the library's texts write `argument`
_OPTIONS = {
    "bitrate": "--bitrate",
    "fetch": "--download",
    "folder": "--out",
    "form": "--format",
    "list_file": "--list",
    "max_bytes": "--max-bytes",
    "overrides": "--set",
    "start": "--from",
    **{
        name: f"--{name}"
        for name in (
            "asr", "backend", "block", "codebooks", "coder", "complexity", "data", "device", "dtx", "dtype", "duration",
            "effort", "jobs", "model", "mos", "neighbours", "offset", "out", "precision", "protect", "protocol",
            "quality", "rate", "raw", "recover", "resume", "row", "scheduler", "speaker", "stage", "stream", "strict",
            "sv", "systems", "target",
        )
    },
}  # fmt: skip
# control characters but tab and newline, and those that turn the direction of the text
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FLAGS = ("complexity", "dtx", "fetch", "recover", "resume", "stream", "strict")  # options without a value
_SETTING = rf"(?:`(?:{'|'.join(_FLAGS)})`|`(?:{'|'.join(_OPTIONS)})` [^\s,;)]+)"
_COMMAND = re.compile(rf"'(sqcodec [^']+)' with ({_SETTING}(?: and {_SETTING})*)")


def with_options(text: str) -> str:
    """Replace the arguments in a text of the library by options: choose one with `speaker` -> --speaker.

    A command and its settings become one line to copy: 'sqcodec train X' with `stage` prior and `resume`
    -> 'sqcodec train X --stage prior --resume'.
    """
    text = _COMMAND.sub(lambda found: f"'{found[1]} {found[2].replace(' and `', ' `')}'", text)
    return re.sub(r"`(\w+)`", lambda found: _OPTIONS.get(found[1], found[0]), text)


def printable(text: str) -> str:
    """The text with control characters as escapes, but for the ends of lines: a name must not command a terminal."""
    return _CONTROL.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if found[0] < "\u0100" else f"\\u{ord(found[0]):04x}", text
    )


def name_text(name: str) -> str:
    """A name from a file on one line: a newline in it must not begin another."""
    return printable(name).replace("\n", "\\n")


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print what `printable` makes of a text: what every command prints with."""
    click.echo(printable(text), err=err, nl=nl)


def echo_notes(notes: Iterable[str]) -> None:
    """Print notes of the library to standard error, one per line."""
    for note in notes:
        echo(with_options(note), err=True)


def echo_result(target: Path, notes: Iterable[str], text: str, *, quiet: bool = False) -> None:
    """Print notes to standard error and the result to standard output (to standard error if `target` is a pipe)."""
    if not quiet:
        echo_notes(notes)
        echo(f"{target}: {text}", err=str(target) == "-")


def echo_messages(messages: "EncodedMessages", *, quiet: bool) -> None:
    """Print what `echo_result` prints, of one message or several."""
    files, encoded = messages
    count = "" if len(files) == 1 else f"{len(files)} messages to {files[-1].name}, "
    text = (
        f"{count}{encoded.seconds:.2f} s, {encoded.size} bytes: {encoded.bit_rate:.0f} bit/s,"
        f" {model_text(encoded.model, encoded.model_reason)}"
    )
    echo_result(files[0], [note.text for note in encoded.notes], text, quiet=quiet)


def echo_json(target: Path, tree: Mapping[str, Any]) -> None:
    """Print a result as JSON, to standard error if `target` is a pipe."""
    echo(json.dumps(tree, indent=1), err=str(target) == "-")


def echo_folder_result(
    target: Path, result: "FolderResult", *, rate: str = "", quiet: bool = False, as_json: bool = False
) -> None:
    """As `echo_result`, for a folder. Raises ClickException, which lists the failures, if files failed."""
    if as_json:
        echo(json.dumps(result.as_json(), indent=1))
    else:
        counts = ", ".join(f"{result.count(outcome)} {outcome}" for outcome in ("new", "redone", "kept", "failed"))
        notes = [
            f"{kind}, {files} file{'s' * (files > 1)}: {name_text(text)}" for kind, files, text in result.note_counts
        ]
        echo_result(target, (*result.notes, *notes), f"{counts}; {result.seconds:.2f} s{rate}", quiet=quiet)
    if result.failed:
        listed = "\n".join(f"  {name_text(with_options(failure.reason or ''))}" for failure in result.failed)
        raise click.ClickException(f"{len(result.failed)} of {len(result.files)} files failed:\n{listed}")


def speaker_text(speaker: str | None) -> str:
    """`, speaker p225`; empty if the model takes any speaker."""
    return f", speaker {name_text(speaker)}" if speaker else ""


def model_text(path: Path, reason: str = "") -> str:
    """`model speech16k, which ships`: the name of a model and why it was chosen."""
    from sqcodec.pipeline.finding.models import model_name

    return with_options(f"model {model_name(path)}{f', {reason}' if reason else ''}")
