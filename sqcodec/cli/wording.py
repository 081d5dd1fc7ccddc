"""How the command line words what the library says: options, notes, results, speakers and models."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.folders import FolderDone

# argument of the library, which its texts name as `argument` -> option of the command line
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


def with_options(text: str) -> str:
    """A text of the library with the options in place of its arguments: choose one with `speaker` -> --speaker."""
    return re.sub(r"`(\w+)`", lambda found: _OPTIONS.get(found[1], found[0]), text)


def echo_notes(notes: Iterable[str]) -> None:
    """Notes of the library to standard error, a line each."""
    for note in notes:
        click.echo(with_options(note), err=True)


def echo_done(target: Path, notes: Iterable[str], text: str, *, quiet: bool = False) -> None:
    """Notes to standard error, the result to standard output, unless that carries the file itself."""
    if not quiet:
        echo_notes(notes)
        click.echo(f"{target}: {text}", err=str(target) == "-")


def echo_folder_done(target: Path, done: "FolderDone", *, rate: str = "", quiet: bool) -> None:
    """As `echo_done`, for a folder. Raises ClickException: some files failed; it lists them."""
    kept = f"; {done.kept} were there already" if done.kept else ""
    echo_done(target, done.notes, f"{done.done} files, {done.seconds:.2f} s{rate}{kept}", quiet=quiet)
    if done.failed:
        number = len(done.failed) + done.done + done.kept
        listed = "\n".join(f"  {with_options(failure.reason)}" for failure in done.failed)
        raise click.ClickException(f"{len(done.failed)} of {number} files failed:\n{listed}")


def speaker_text(speaker: str | None) -> str:
    """`, speaker p225`; nothing where the model takes any voice."""
    return f", speaker {speaker}" if speaker else ""


def model_text(path: Path) -> str:
    """The name of a model that ships, the path of any other."""
    from sqcodec.pipeline.finding.models import SHIPPED

    return path.parent.name if path.is_relative_to(SHIPPED) else str(path)
