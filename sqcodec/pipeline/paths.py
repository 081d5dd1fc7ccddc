"""Paths of input and output: checks before the work, complete files or none after it, `-` for pipes."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from sqcodec import storage
from sqcodec.errors import SqcodecError

_MIN_ROOM = 1 << 20  # bytes: a disk with less room is full for a sound file
STANDARD_INPUT = "standard input"


def is_pipe(path: Path) -> bool:
    """Whether the path is `-`: standard input or output."""
    return str(path) == "-"


def check_folder(source: Path, target: Path) -> None:
    """Raise SqcodecError if `target` can be no folder of what is made of the folder `source`."""
    if is_pipe(target):
        raise SqcodecError(f"{target}: standard output; {source} is a folder, so expected the folder to write to")
    if target.exists() and not target.is_dir():
        raise SqcodecError(f"{target}: a file; {source} is a folder, so expected the folder to write to")
    if target.resolve().is_relative_to(source.resolve()):
        raise SqcodecError(f"{target}: lies within {source}; write to a folder beside it")


def shown(source: Path) -> str:
    """The input's name in messages."""
    return STANDARD_INPUT if is_pipe(source) else str(source)


def check_target(source: Path, target: Path, suffixes: Iterable[str]) -> None:
    """Raise SqcodecError if no file with one of `suffixes` can be written to `target`."""
    check_place(source, target)
    if is_pipe(target):
        return
    if target.suffix.lower() not in suffixes and not is_special(target):
        if not is_pipe(source) and not source.exists():  # a folder was meant, so the target's suffix is not the mistake
            raise SqcodecError(f"{source}: no such file or folder")
        raise SqcodecError(f"{target}: unknown suffix {target.suffix!r}, expected one of: {', '.join(suffixes)}")


def check_place(source: Path, target: Path) -> None:
    """Raise SqcodecError if no file can be written to `target`, or if it is the source."""
    if is_pipe(target):
        return
    if target.is_dir():
        raise SqcodecError(f"{target}: a folder; expected the name of the file to write")
    if not target.parent.is_dir():
        raise SqcodecError(f"{target}: there is no folder {target.parent}; make it first")
    if is_pipe(source) or is_special(target):
        return
    if target.exists() and source.exists() and target.samefile(source):
        raise SqcodecError(f"{target}: input and output are the same file; write to another name")


def is_special(target: Path) -> bool:
    """Whether the path exists and is no regular file: /dev/null, a named pipe."""
    return target.exists() and not target.is_file()


@contextmanager
def spooled(source: Path) -> Iterator[Path]:
    """The file to read: `source`, or a temporary copy of what can be read once: standard input, a named pipe.

    Errors then name the source. Raises SqcodecError: it cannot be read, or there is no room for the copy.
    """
    if not is_pipe(source) and (source.is_dir() or not is_special(source)):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="sqcodec-") as folder:
        spool = Path(folder) / "input"
        _spool(source, spool)
        try:
            yield spool
        except SqcodecError as error:
            raise type(error)(str(error).replace(str(spool), shown(source))) from error


def _spool(source: Path, spool: Path) -> None:
    if is_pipe(source) and sys.stdin is None:
        raise SqcodecError(f"{STANDARD_INPUT}: it is closed; name a file, or pipe the input in")
    try:
        with spool.open("wb") as file:
            if is_pipe(source):
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with source.open("rb") as stream:
                    shutil.copyfileobj(stream, file)
    except OSError as error:
        raise SqcodecError(
            f"{shown(source)}: cannot be read, or copied to {spool.parent}: {error.strerror or error}; TMPDIR names"
            " another folder for the copy"
        ) from error


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """A draft file to write. On success it becomes `target` or goes to standard output; on an error it is removed.

    Raises SqcodecError: the target cannot be written.
    """
    with _write_errors(target):
        if not is_pipe(target) and not is_special(target):
            with storage.written(target) as draft, _reasons(draft):
                yield draft
        else:
            with tempfile.TemporaryDirectory(prefix="sqcodec-") as folder:
                draft = Path(folder) / "output"
                with _reasons(draft):
                    yield draft
                _copy_out(draft, target)


@contextmanager
def written_folder(target: Path) -> Iterator[Path]:
    """A draft folder to write. On success it becomes `target`; on an error it is removed.

    Raises SqcodecError: the folder cannot be written.
    """
    with _write_errors(target), storage.written_folder(target) as draft, _reasons(draft):
        yield draft


@contextmanager
def _write_errors(target: Path) -> Iterator[None]:
    """Turn failures to write, also those of libsndfile, into SqcodecError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, soundfile.SoundFileError) as error:
        raise SqcodecError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def _reasons(draft: Path) -> Iterator[None]:
    """Say of a full disk that it is full: libsndfile calls it a system error."""
    try:
        yield
    except soundfile.SoundFileError as error:
        if shutil.disk_usage(draft.parent).free < _MIN_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _copy_out(draft: Path, target: Path) -> None:
    with draft.open("rb") as file:
        if is_pipe(target):
            if sys.stdout is None:
                raise SqcodecError("standard output: it is closed; name a file")
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with target.open("wb") as out:
                shutil.copyfileobj(file, out)
