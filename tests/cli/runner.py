"""Call the command line in this process, and what it says of the model of `workplace`."""

from pathlib import Path

from click.testing import CliRunner, Result

from sqcodec.cli.main import main

MODEL = "model runs/tiny"
CHOSEN = f"{MODEL}, trained here"  # where no model is named


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def refused(*arguments: str, exit_code: int = 1, stdin: bytes | None = None) -> str:
    """The error text of a command that must fail with one line and leave the folder as it was."""
    before = sorted(Path().rglob("*"))
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert sorted(Path().rglob("*")) == before
    return result.stderr
