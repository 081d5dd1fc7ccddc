"""Call the command line in this process: what it says of the model of `workplace`, refusals, a small training."""

from pathlib import Path

import soundfile
from click.testing import CliRunner, Result

from sqcodec.cli.main import main
from tests.conftest import speech_like

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


def trained(folder: Path, *changes: str) -> tuple[str, ...]:
    """Train the recipe `folder`, changed, for a few steps in folder/run, on six recordings of two speakers.

    Returns the words of the command, to which a stage may be added.
    """
    for speaker in ("p225", "p226"):
        (folder / "speech" / speaker).mkdir(parents=True)
        for number in range(3):
            soundfile.write(folder / "speech" / speaker / f"{number}.wav", speech_like(30_000, seed=number), 16000)
    assert run("prep", "folder", "--data", folder / "speech", "--out", folder / "store").exit_code == 0
    small = ("network.channels=16", "network.gru=8", "quantizer.codewords=16", "quantizer.dim=4", "train.batch=4",
             "train.steps=4", "vocoder.iterations=2", "train.log_every=2", "train.save_every=4",
             "train.evaluate_every=4")  # fmt: skip
    options = [word for change in (*small, *changes) for word in ("--set", change)]
    arguments = ("train", "folder", "--features", str(folder / "store"), "--out", str(folder / "run"), *options)
    assert run(*arguments).exit_code == 0
    return arguments
