"""Texts of the library name arguments, those of the command line its options."""

import re
from pathlib import Path

import click
import pytest

from sqcodec.cli import wording
from sqcodec.cli.main import COMMANDS, main
from sqcodec.cli.wording import with_options

PACKAGE = Path(wording.__file__).parent.parent


def test_arguments_become_options() -> None:
    assert with_options("choose one with `speaker`: a, b") == "choose one with --speaker: a, b"
    assert with_options("`bit_rate` 100: too low; `list_file` TSV") == "--bitrate 100: too low; --list TSV"
    assert with_options("symbols in `vocabulary`, a lone ` stays") == "symbols in `vocabulary`, a lone ` stays"


def test_every_option_is_one_of_a_command() -> None:
    commands = [main.get_command(click.Context(main), name) for group in COMMANDS.values() for name in group]
    known = {option for command in commands if command for parameter in command.params for option in parameter.opts}
    assert set(wording._OPTIONS.values()) <= known


@pytest.mark.parametrize("argument", sorted(wording._OPTIONS))
def test_every_argument_of_the_table_is_named_by_the_library(argument: str) -> None:
    texts = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.parent.name != "cli"]
    assert any(re.search(f'^ .*"[^"]*`{argument}`', text, re.MULTILINE) for text in texts)
