"""The command line as a whole: help, groups, start-up, errors."""

import subprocess
import sys

import click
import pytest
import soundfile
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("encode", "none.wav", "x.sqc"), ("encode", "x.wav", "x.sqc", "--model", "none"),
        ("decode", "none.sqc", "y.wav"), ("vocode", "none.wav", "y.wav"), ("inspect", "none.sqc"),
        ("convert", "none.wav", "y.wav", "--speaker", "a"),
        ("perturb", "none.wav", "y.wav"), ("morph", "x.wav", "none.wav", "y.wav"), ("score", "none", "none"),
        ("train", "none"), ("prep", "none"), ("evaluate", "speech16k", "--data", "none", "--out", "o"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_wrong_arguments_are_found_before_torch_is_imported(tmp_path, words):
    soundfile.write(tmp_path / "x.wav", [0.1] * 800, 16000)
    code = (
        "import sys; from click.testing import CliRunner; from sqcodec.cli.main import main\n"
        f"done = CliRunner().invoke(main, {words!r})\n"
        "assert done.exit_code in (1, 2) and 'none' in done.stderr, done.output\n"
        "sys.exit('imported torch' if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
