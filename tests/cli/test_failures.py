"""Whatever goes wrong ends as one `Error:` line and exit status 1, whatever the streams can print."""

import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from sqcodec.bitstream import npy
from sqcodec.cli.failures import _tracker, without_debug
from sqcodec.cli.main import main
from sqcodec.cli.wording import printable
from sqcodec.codes import Codes
from tests.cli.runner import run
from tests.test_layout import PACKAGE

RUN = [sys.executable, "-m", "sqcodec.cli.main"]


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, *arguments: str):
    """What `sqcodec models` prints when it fails with this error."""

    def fail() -> None:
        raise error

    monkeypatch.setattr("sqcodec.pipeline.finding.shipped.shipped_models", fail)
    return CliRunner().invoke(main, [*arguments, "models"])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device", "x.log"), "x.log: No space left on device"),
        (OSError(30, "Read-only file system", b"caf\xe9"), "caf\udce9: Read-only file system"),
        (OSError(122, "Disk quota exceeded"), "standard output, or another stream: Disk quota exceeded"),
        (MemoryError(), "out of memory (MemoryError); close other programs, or use less: fewer --jobs, a smaller"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory:\n you tried"), "out of memory (DefaultCPUAllocator"),
        (
            IndexError("list index\nout of range"),
            "a bug of sqcodec (IndexError: list index out of range, test_failures",
        ),
        (UnicodeEncodeError("utf-8", "a\udce9", 1, 2, "surrogates"), "a bug of sqcodec (UnicodeEncodeError: "),
        (click.ClickException("\x1b]0;title\x07"), r"\x1b]0;title\x07"),
    ],
)
def test_every_exception_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception, text: str) -> None:
    result = failing(monkeypatch, error)
    assert (result.exit_code, result.stdout) == (1, "")
    line = result.stderr_bytes.decode("utf-8", "surrogateescape")
    assert line.startswith(f"Error: {text}")
    assert line.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--debug"], []])
def test_debug_prints_the_traceback(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    result = failing(monkeypatch, KeyError("x"), *arguments)
    assert result.stderr.startswith("Traceback" if arguments else "Error: a bug of sqcodec (KeyError: 'x', ")
    assert "please report it" in result.stderr.splitlines()[-1]


def test_debug_may_stand_anywhere_before_two_dashes() -> None:
    assert without_debug(["encode", "a", "--debug", "b"]) == (["encode", "a", "b"], True)
    assert without_debug(["encode", "--", "--debug"]) == (["encode", "--", "--debug"], False)


def test_bugs_are_reported_where_the_package_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Metadata:
        def get_all(self, name: str) -> list[str]:
            return ["Homepage, https://one", "Issues, https://two"]

    monkeypatch.setattr("importlib.metadata.metadata", lambda _: Metadata())
    assert _tracker() == " at https://two"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8"])
def test_what_an_encoding_lacks_is_printed_as_an_escape(workplace: Path, encoding: str) -> None:
    assert run("encode", "in.wav", "codes.sqc", "--speaker", "s5").exit_code == 0
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([*RUN, "inspect", "codes.sqc"], env=environment, capture_output=True, check=True)
    lines = done.stdout.decode(encoding).splitlines()
    assert lines[0].startswith("codes.sqc: .sqc version ")
    assert ("\\u258" in lines[-1]) is (encoding != "utf-8")  # its bars


@pytest.mark.slow
def test_names_that_are_not_utf8_are_printed_as_they_are(workplace: Path) -> None:
    name = b"caf\xe9.wav"
    Path("in.wav").rename(os.fsdecode(name))
    done = subprocess.run([*RUN, "encode", name, b"caf\xe9.sqc"], capture_output=True, check=True)
    assert done.stdout.startswith(b"caf\xe9.sqc: 2.50 s, ")


def test_a_full_standard_output_is_one_line(workplace: Path) -> None:
    assert run("encode", "in.wav", "codes.sqc", "--speaker", "s5").exit_code == 0
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*RUN, "inspect", "codes.sqc"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode() == "Error: standard output, or another stream: No space left on device\n"


def test_control_characters_are_escaped(workplace: Path) -> None:
    codes = Codes(indices=np.zeros((1, 26), np.uint16), samples=8000, sample_rate=16000, gain=1.0,
                  speaker="s5\n  level      \x1b]0;PWNED\x07", fingerprint=None)  # fmt: skip
    Path("a.npy").write_bytes(npy.pack(codes))
    assert "  speaker    s5\\n  level      \\x1b]0;PWNED\\x07\n" in run("inspect", "a.npy").stdout
    assert printable("a\x1b]0;PWNED\x07\tb\n\x85\u202e\x7fc") == "a\\x1b]0;PWNED\\x07\tb\n\\x85\\u202e\\x7fc"


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.name)
def test_commands_print_what_is_printable(path: Path) -> None:
    prints = path.read_text("utf-8").count("click.echo(")
    assert prints == {"wording.py": 1, "failures.py": 1}.get(path.name, 0), "print with sqcodec.cli.wording.echo"
