"""One process alone at a folder that takes long to make: a feature store, a training."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sqcodec.errors import SqcodecError

if sys.platform != "win32":
    import fcntl


@contextmanager
def alone(path: Path, *, error: type[SqcodecError] = SqcodecError) -> Iterator[None]:
    """Have this process alone make the folder or file `path`: a lock on a hidden file beside it, gone at the end.

    Where the system or the file system has no locks, nothing is checked. Raises `error`: another process makes it.
    """
    if sys.platform == "win32":
        yield
        return
    final = Path(os.path.realpath(path))
    lock = final.with_name(f".{os.fsdecode(os.fsencode(final.name)[:200])}.lock")  # 255 bytes are a name's most
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
    except OSError as caught:
        raise error(f"{final.parent}: cannot be made: {caught.strerror}") from caught
    try:
        file = _made(lock, path, error)
    except BaseException:  # a signal may come when the file is there and not yet ours
        with suppress(OSError), lock.open("rb") as found:
            _remove_if_free(lock, found)
        raise
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # before the lock is given up: who has opened it will see that it is gone
        file.close()


def _made(lock: Path, path: Path, error: type[SqcodecError]) -> BinaryIO:
    """The file, which holds the lock. Raises `error`: another process has it, or the file cannot be made."""
    while True:
        try:
            file = lock.open("ab")
        except OSError as caught:
            raise error(f"{lock}: cannot be written: {caught.strerror}") from caught
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(lock, file):
                return file
        except BlockingIOError:
            file.close()
            raise error(f"{path}: another process is making it; wait for its end, or choose another place") from None
        except OSError:  # no locks here
            return file
        except BaseException:
            file.close()
            raise
        file.close()  # its last owner removed it meanwhile


def _is_there(lock: Path, file: BinaryIO) -> bool:
    """Whether the opened file has its name yet."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), lock.stat())
    except FileNotFoundError:
        return False


def _remove_if_free(lock: Path, found: BinaryIO) -> None:
    """Raises OSError: somebody holds the lock, or the file system has none."""
    fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if _is_there(lock, found):
        lock.unlink(missing_ok=True)
