"""Files that appear whole or not at all. No other module renames or fsyncs.

What is written lies beside its target as a draft, under a random name, which fits where the target's name fits and
which no two processes share. Its process holds a lock on it. A draft without a lock that is older than a minute was
left by a process that was killed; the next process that writes into the folder removes it.
"""

import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqcodec.errors import SqcodecError

if sys.platform != "win32":  # there drafts are not locked, and not swept
    import fcntl

_MINUTE = 60.0  # seconds: far longer than a process needs from making a draft to locking it
_DRAFT = re.compile(r"\.[0-9a-f]{12}\.draft")
_FORMER_DRAFT = re.compile(r"\..+\.(\d+)\.draft")  # release 0.1.0: the name of the target and the process's number
_swept: dict[Path, float] = {}  # folder -> when this process last looked for drafts in it


@contextmanager
def written(path: Path, *, error: type[SqcodecError] = SqcodecError) -> Iterator[Path]:
    """A draft, empty at first, which becomes the file `path` if all goes well, else leaves no trace.

    An older file keeps its mode, a symbolic link stays one. Raises `error`: the file cannot be written.
    """
    with _one_error(path, error):
        final = Path(os.path.realpath(path))
        mode = _mode(final)
        _sweep(final.parent)
        draft = _draft_in(final.parent)
        with _removed(draft):  # from before it is there: a signal may come at any moment
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            with _locked(draft):
                mode = stat.S_IMODE(draft.stat().st_mode) if mode is None else mode
                yield draft
                _settle(draft)
                if stat.S_IMODE(draft.stat().st_mode) != mode:
                    draft.chmod(mode)
                draft.replace(final)


@contextmanager
def written_folder(path: Path, *, replace: bool = False, error: type[SqcodecError] = SqcodecError) -> Iterator[Path]:
    """A draft of a folder, which becomes `path` if all goes well, else leaves no trace; folders above it are created.

    replace: whether it may replace an older folder. Raises `error`: the folder cannot be written.
    """
    with _one_error(path, error):
        final = Path(os.path.realpath(path))
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final.parent)
        draft = _draft_in(final.parent)
        with _removed(draft):
            draft.mkdir()
            with _locked(draft):
                yield draft
                for file in draft.rglob("*"):
                    if file.is_file():
                        _settle(file)
                if replace and final.exists():
                    _exchange(draft, final)
                else:
                    draft.rename(final)


def write_bytes(path: Path, content: bytes, *, error: type[SqcodecError] = SqcodecError) -> None:
    """Write a whole file. Raises `error`: it cannot be written."""
    with written(path, error=error) as draft:
        draft.write_bytes(content)


def write_text(path: Path, text: str, *, error: type[SqcodecError] = SqcodecError) -> None:
    """Write a whole file in UTF-8; bytes of file names as they are. Raises `error`: it cannot be written."""
    with written(path, error=error) as draft:
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, tree: Any, *, error: type[SqcodecError] = SqcodecError) -> None:
    """Write a JSON document, a level of indentation a space. Raises `error`: it cannot be written."""
    write_text(path, json.dumps(tree, indent=1) + "\n", error=error)


def append_line(path: Path, line: str, *, error: type[SqcodecError] = SqcodecError) -> None:
    """Add a line to a text file in UTF-8, after the end of a line that a killed process left incomplete.

    Processes may do so at once. Raises `error`: the file cannot be written.
    """
    with _one_error(path, error), path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        before = b"\n" if size and file.read(1) != b"\n" else b""
        file.write(before + line.encode("utf-8", "surrogateescape") + b"\n")


def file_digest(path: Path) -> str:
    """16 hexadecimal digits (SHA-256) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def move(path: Path, target: Path, *, error: type[SqcodecError] = SqcodecError) -> None:
    """Give its final name to a file or folder that is complete: a download that went on where it had stopped.

    Raises `error`: it cannot be moved.
    """
    with _one_error(target, error):
        if path.is_file():
            _settle(path)
        path.rename(target)


@contextmanager
def _one_error(path: Path, error: type[SqcodecError]) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # of standard output, not of a file
        raise
    except OSError as caught:
        raise error(f"{path}: cannot be written: {caught.strerror or caught}") from caught


def _mode(path: Path) -> int | None:
    """The permissions of a file that a draft replaces; None where there is none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError("not a plain file")
    return stat.S_IMODE(mode)


def _draft_in(folder: Path) -> Path:
    return folder / f".{secrets.token_hex(6)}.draft"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file or folder, where the system and the file system have locks."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _removed(path: Path) -> Iterator[None]:
    """Remove the file or folder at the end, if it is still there."""
    try:
        yield
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _settle(path: Path) -> None:
    """Have the disk hold a file before it gets its name: a power cut then leaves the old file or the new one."""
    with path.open("r+b" if sys.platform == "win32" else "rb") as file:  # Windows flushes what is open for writing
        os.fsync(file.fileno())


def _exchange(draft: Path, final: Path) -> None:
    """Rename a folder to the name of an older one, which is removed; if it fails, the older one is put back."""
    old = _draft_in(final.parent)
    with _locked(final):  # nobody sweeps it while it has a draft's name
        final.rename(old)
        try:
            draft.rename(final)
        except BaseException:
            old.rename(final)
            raise
        _remove(old)


def _sweep(folder: Path) -> None:
    """Remove the dead drafts of a folder; once a minute, since a folder may hold very many files."""
    now = time.monotonic()
    if sys.platform == "win32" or now - _swept.get(folder, -math.inf) < _MINUTE:
        return
    _swept[folder] = now
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if entry.name.endswith(".draft")]:
            former = _FORMER_DRAFT.fullmatch(name)
            if _DRAFT.fullmatch(name) or (former and not _is_alive(int(former[1]))):
                with suppress(OSError):
                    _remove_if_dead(folder / name)


def _remove_if_dead(draft: Path) -> None:
    """Raises OSError: somebody holds the draft, or the file system has no locks."""
    found = draft.stat(follow_symlinks=False)
    plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    if not plain or time.time() - found.st_mtime < _MINUTE:
        return
    descriptor = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(draft)
    finally:
        os.close(descriptor)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True
