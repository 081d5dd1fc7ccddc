"""Whatever goes wrong ends as one `Error:` line and exit status 1, whatever the streams can print."""

import importlib.metadata
import io
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from sqcodec import storage
from sqcodec.bitstream import npy
from sqcodec.cli.failures import _tracker, make_streams_lenient, one_error, without_debug
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
        (OSError(28, "No space left on device"), "standard output, or another stream: No space left on device"),
        (PermissionError(13, "It is used by another process", r"C:\x.sqc"), r"C:\x.sqc: It is used by another process"),
        (OSError(122, "Disk quota exceeded"), "standard output, or another stream: Disk quota exceeded"),
        (MemoryError(), "out of memory (MemoryError); close other programs, or use less: fewer --jobs, a smaller"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory:\n you tried"), "out of memory (DefaultCPUAllocator"),
        (
            IndexError("list index\nout of range"),
            "a bug of sqcodec (IndexError: list index out of range, test_failures",
        ),
        (UnicodeEncodeError("utf-8", "a\udce9", 1, 2, "surrogates"), "a bug of sqcodec (UnicodeEncodeError: "),
        (
            ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow"),
            "this needs the package pyarrow, which is not installed; in a checkout",
        ),
        (ModuleNotFoundError("No module named 'x'", name="x"), "a bug of sqcodec (ModuleNotFoundError: No module"),
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


def test_a_reader_that_has_ended_gets_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(monkeypatch, BrokenPipeError(32, "Broken pipe"))
    assert (result.exit_code, result.output) == (1, "")


@pytest.mark.parametrize("debug", [False, True])
def test_a_thread_that_cannot_write_prints_nothing(monkeypatch: pytest.MonkeyPatch, debug: bool) -> None:
    """TensorBoard's on a full disk: who waits for it gets the error. A bug in a thread is shown."""
    shown: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: shown.append(failure.exc_type))
    with one_error(debug=debug):
        for error in (OSError(28, "No space left on device"), ValueError("a bug")):
            thread = threading.Thread(target=_raise, args=[error])
            thread.start()
            thread.join()
    assert shown == ([OSError, ValueError] if debug else [ValueError])


def _raise(error: Exception) -> None:
    raise error


def test_sigterm_unwinds_and_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended() -> None:
        with storage.written(tmp_path / "out.wav"):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("sqcodec.pipeline.finding.shipped.shipped_models", ended)
    assert run("models").exit_code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_commands_run_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python takes no signals, as in a server of somebody else's."""
    monkeypatch.setattr("sqcodec.pipeline.finding.shipped.shipped_models", list)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, "models").result().exit_code == 0


def test_every_text_has_bytes() -> None:
    make_streams_lenient()
    assert "a\udce9\x85\u2588\U0001f3b5".encode("ascii", "sqcodec") == b"a\xe9\\x85\\u2588\\U0001f3b5"
    with pytest.raises(UnicodeDecodeError):  # bytes that are no text stay an error
        b"\xe9".decode("utf-8", "sqcodec")


def test_streams_of_other_programs_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as pythonw.exe has it
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    make_streams_lenient()
    assert (sys.stdout, sys.stderr.getvalue()) == (None, "")


def test_a_package_without_metadata_has_no_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.metadata", none)
    assert _tracker() == ""


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
