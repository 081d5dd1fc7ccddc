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
    assert with_options("`bitrate` 100: too low; `list_file` TSV") == "--bitrate 100: too low; --list TSV"
    assert with_options("`precision` bfloat16: for istft") == "--precision bfloat16: for istft"
    assert with_options("symbols in `vocabulary`, a lone ` stays") == "symbols in `vocabulary`, a lone ` stays"


def test_a_command_and_its_settings_become_one_command() -> None:
    text = "there is none; 'sqcodec train RECIPE' with `stage` prior makes one, or name one with `model`"
    assert (
        with_options(text) == "there is none; 'sqcodec train RECIPE --stage prior' makes one, or name one with --model"
    )
    text = "'sqcodec prep vctk' with `data` here and `fetch` downloads it"
    assert with_options(text) == "'sqcodec prep vctk --data here --download' downloads it"
    text = "a file of 'sqcodec train' with two stages, 'sqcodec train X' with `vocabulary` a"
    assert with_options(text) == text


def test_no_text_of_the_library_keeps_settings_outside_its_command() -> None:
    texts = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.parent.name != "cli"]
    joined = [re.sub(r'"\n +f?"', "", text) for text in texts]  # a string over several lines
    commands = [found for text in joined for found in re.findall(r"'sqcodec [^'\n]*' with `[^\"\n]*", text)]
    assert len(commands) >= 6
    assert not [text for text in commands if "' with" in with_options(text)]


def test_every_option_is_one_of_a_command() -> None:
    commands = [main.get_command(click.Context(main), name) for group in COMMANDS.values() for name in group]
    known = {option for command in commands if command for parameter in command.params for option in parameter.opts}
    assert set(wording._OPTIONS.values()) <= known


@pytest.mark.parametrize("argument", sorted(wording._OPTIONS))
def test_every_argument_of_the_table_is_named_by_the_library(argument: str) -> None:
    texts = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.parent.name != "cli"]
    assert any(re.search(f'^ .*"[^"]*`{argument}`', text, re.MULTILINE) for text in texts)
