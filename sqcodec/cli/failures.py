"""Every exception ends as one `Error:` line and exit status 1; what it prints can be printed anywhere."""

import codecs
import errno
import importlib.metadata
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from sqcodec.cli.wording import printable, with_options
from sqcodec.errors import SqcodecError
from sqcodec.extras import missing

DEBUG = "--debug"
_HANDLER = "sqcodec"
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")  # of torch, whose errors have no type


def make_streams_lenient() -> None:
    """Let standard output and error take every text: bytes of file names as they are, what has no code as an escape."""
    codecs.register_error(_HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


@contextmanager
def one_error(*, debug: bool) -> Iterator[None]:
    """Turn every exception into a click.ClickException with one line; debug: print the traceback first."""
    try:
        with _quiet_threads(debug=debug):
            yield
    except (click.exceptions.Exit, click.Abort):
        raise
    except click.UsageError:
        raise
    except click.ClickException as error:
        raise click.ClickException(printable(error.message)) from error
    except BrokenPipeError:  # the reader of the pipe has ended: no message can reach it
        _discard_output()
        raise SystemExit(1) from None
    except Exception as error:
        if debug:
            click.echo(printable(traceback.format_exc()), err=True)
        if isinstance(error, OSError) and error.filename is None and error.errno in (errno.ENOSPC, errno.EIO):
            _discard_output()
        raise click.ClickException(printable(_text(error))) from error


@contextmanager
def resumable() -> Iterator[None]:
    """Say after Ctrl-C that nothing finished is lost, where that is so."""
    try:
        yield
    except KeyboardInterrupt:
        text = "stopped; what is finished is kept, and the same command goes on from there"
        raise click.ClickException(text) from None


@contextmanager
def _quiet_threads(*, debug: bool) -> Iterator[None]:
    """Print no traceback where a thread cannot write, as TensorBoard's on a full disk: its user gets the error, too."""
    before = threading.excepthook

    def hook(failure: threading.ExceptHookArgs) -> None:
        if debug or not isinstance(failure.exc_value, OSError):
            before(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def _text(error: Exception) -> str:
    """One line on an error: a user's mistake as it is, the system's with its reason, a bug with where to report it."""
    if isinstance(error, SqcodecError):
        return with_options(str(error))
    if isinstance(error, ModuleNotFoundError) and (without := missing(error)):
        return str(without)
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or any(text in reason for text in _OUT_OF_MEMORY):
        return f"out of memory ({reason}); close other programs, or use less: fewer --jobs, a smaller train.batch"
    if isinstance(error, OSError):
        where = "standard output, or another stream" if error.filename is None else os.fsdecode(error.filename)
        return f"{where}: {error.strerror or reason}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"a bug of sqcodec ({type(error).__name__}: {reason}, {Path(place.filename).name}:{place.lineno});"
        f" please report it{_tracker()} with what the same command prints with {DEBUG}"
    )


def _tracker() -> str:
    """Where bugs are reported, by the package's metadata."""
    try:
        addresses = importlib.metadata.metadata("sqcodec").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        addresses = []
    found = [url.strip() for label, _, url in (text.partition(",") for text in addresses) if label == "Issues"]
    return f" at {found[0]}" if found else ""


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """For what a stream cannot encode: the byte that Python read a file name's byte as, else an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = (_escaped(ord(character)) for character in error.object[error.start : error.end])
    return b"".join(parts), error.end


def _escaped(code: int) -> bytes:
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape
        return bytes([code - 0xDC00])
    return b"\\x%02x" % code if code < 0x100 else b"\\u%04x" % code if code < 0x10000 else b"\\U%08x" % code


def _discard_output() -> None:
    """Give standard output a place for what is still in its buffer; it would fail once more at the end."""
    with suppress(OSError, ValueError, AttributeError):  # a stream without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """The arguments without --debug, which may stand anywhere before a `--`; and whether it was there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != DEBUG] + arguments[end:]
    return kept, len(kept) < len(arguments)
