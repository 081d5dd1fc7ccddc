"""Where input comes from and output goes: checks before the work, whole files or none after it, `-` for pipes."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from sqcodec import storage
from sqcodec.errors import SqcodecError

STANDARD_INPUT = "standard input"


def is_pipe(path: Path) -> bool:
    """Whether the path means standard input or output."""
    return str(path) == "-"


def shown(source: Path) -> str:
    """The input's name in messages."""
    return STANDARD_INPUT if is_pipe(source) else str(source)


def check_target(source: Path, target: Path, suffixes: Iterable[str]) -> None:
    """Raise SqcodecError when `target` is not a place where a file with one of `suffixes` can be written."""
    if is_pipe(target):
        return
    if target.is_dir():
        raise SqcodecError(f"{target}: a folder; expected the name of the file to write")
    if not target.parent.is_dir():
        raise SqcodecError(f"{target}: there is no folder {target.parent}; make it first")
    if not is_pipe(source) and target.exists() and source.exists() and target.samefile(source):
        raise SqcodecError(f"{target}: input and output are the same file; write to another name")
    if target.suffix.lower() not in suffixes and not is_special(target):
        raise SqcodecError(f"{target}: unknown suffix {target.suffix!r}, expected one of: {', '.join(suffixes)}")


def is_special(target: Path) -> bool:
    """Whether the path is there and no plain file: /dev/null, a named pipe."""
    return target.exists() and not target.is_file()


@contextmanager
def spooled(source: Path) -> Iterator[Path]:
    """The file to read: `source`, or standard input in a temporary file, which error texts then name as such."""
    if not is_pipe(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="sqcodec-") as folder:
        spool = Path(folder) / "input"
        with spool.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield spool
        except SqcodecError as error:
            raise type(error)(str(error).replace(str(spool), STANDARD_INPUT)) from error


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """A draft to write, which becomes `target` (or goes to standard output) if all goes well, else leaves no trace.

    Raises SqcodecError: the target cannot be written.
    """
    with _one_error(target):
        if not is_pipe(target) and not is_special(target):
            with storage.written(target) as draft:
                yield draft
        else:
            with tempfile.TemporaryDirectory(prefix="sqcodec-") as folder:
                draft = Path(folder) / "output"
                yield draft
                _copy_out(draft, target)


@contextmanager
def written_folder(target: Path) -> Iterator[Path]:
    """A draft of a folder, which becomes `target` if all goes well, else leaves no trace.

    Raises SqcodecError: the folder cannot be written.
    """
    with _one_error(target), storage.written_folder(target) as draft:
        yield draft


@contextmanager
def _one_error(target: Path) -> Iterator[None]:
    """Failures to write, libsndfile's too, as one kind of error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, soundfile.SoundFileError) as error:
        raise SqcodecError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _copy_out(draft: Path, target: Path) -> None:
    with draft.open("rb") as file:
        if is_pipe(target):
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with target.open("wb") as out:
                shutil.copyfileobj(file, out)
