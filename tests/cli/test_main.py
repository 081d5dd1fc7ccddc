"""The command line as a whole: help, groups, start-up, errors."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import sqcodec
from sqcodec.cli.main import COMMANDS, main


def test_help_lists_every_command_in_its_group():
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for group, commands in COMMANDS.items():
        assert f"{group}:" in result.output
        for name, (_, text) in commands.items():
            assert f"  {name}" in result.output
            assert text in result.output


def test_every_command_has_help_with_an_example():
    for commands in COMMANDS.values():
        for name in commands:
            result = CliRunner().invoke(main, [name, "--help"])
            assert result.exit_code == 0, name
            command = main.get_command(click.Context(main), name)
            subcommands = getattr(command, "commands", {})
            text = result.output + "".join(
                CliRunner().invoke(main, [name, sub, "--help"]).output for sub in subcommands
            )
            assert f"sqcodec {name}" in text
            assert "Example" in text, name


def test_help_imports_neither_torch_nor_numpy():
    code = (
        "import sys; from click.testing import CliRunner; from sqcodec.cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'numpy', 'librosa', 'pydantic', 'soundfile', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version():
    assert CliRunner().invoke(main, ["--version"]).output == f"sqcodec {sqcodec.__version__}\n"


def test_an_unknown_command_is_a_usage_error():
    result = CliRunner().invoke(main, ["endcode"])
    assert result.exit_code == 2
    assert "No such command 'endcode'" in result.output


def test_an_sqcodec_error_is_one_line_and_status_1():
    result = CliRunner().invoke(main, ["train", "no-such-recipe"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: recipe 'no-such-recipe': no such folder or file")
    assert "Traceback" not in result.output


def test_the_package_offers_its_names_lazily():
    assert callable(sqcodec.load)
    assert sqcodec.Codes.__name__ == "Codes"
    with pytest.raises(AttributeError, match="^module 'sqcodec' has no attribute 'nothing'$"):
        _ = sqcodec.nothing
