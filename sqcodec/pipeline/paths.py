"""Where input comes from and output goes: checks before the work, whole files or none after it, `-` for pipes."""

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from sqcodec.errors import SqcodecError

STANDARD_INPUT = "standard input"


def is_pipe(path: Path) -> bool:
    """Whether the path means standard input or output."""
    return str(path) == "-"


def shown(source: Path) -> str:
    """The input's name in messages."""
    return STANDARD_INPUT if is_pipe(source) else str(source)


def check_target(source: Path, target: Path, suffixes: Iterable[str]) -> None:
    """Raise SqcodecError when `target` is not a place where a file with one of `suffixes` can be written.

    Drafts of it that a killed process left are removed.
    """
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
    _sweep(target.resolve())


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
    plain = not is_pipe(target) and not is_special(target)
    final = target.resolve()  # a link stays a link
    folder = final.parent if plain else Path(tempfile.gettempdir())
    draft = folder / f".{final.name}.{os.getpid()}.draft"
    try:
        yield draft
        if plain:
            _settle(draft)
            draft.replace(final)
        else:
            _copy_out(draft, target)
    except BrokenPipeError:
        raise
    except (OSError, soundfile.SoundFileError) as error:
        raise SqcodecError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _sweep(target: Path) -> None:
    """Remove the drafts of this file whose processes were killed."""
    for draft in target.parent.glob(f".{glob.escape(target.name)}.*.draft"):
        number = draft.name.removesuffix(".draft").rpartition(".")[2]
        if number.isdigit() and not _is_alive(int(number)):
            draft.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True


def _settle(draft: Path) -> None:
    """Have the disk hold the draft before it takes its name: a power cut then leaves the old file or the new one."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def _copy_out(draft: Path, target: Path) -> None:
    with draft.open("rb") as file:
        if is_pipe(target):
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with target.open("wb") as out:
                shutil.copyfileobj(file, out)
