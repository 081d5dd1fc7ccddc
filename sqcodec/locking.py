"""One process alone at a folder that takes long to make: a feature store, a training."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    descriptor = _lock_of(lock, path, error)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # before the lock is given up: who has opened it will see that it is gone
        os.close(descriptor)


def _lock_of(lock: Path, path: Path, error: type[SqcodecError]) -> int:
    """A descriptor that holds the lock. Raises `error`: another process has it, or the file cannot be made."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as caught:
            raise error(f"{lock}: cannot be written: {caught.strerror}") from caught
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise error(f"{path}: another process is making it; wait for its end, or choose another place") from None
        except OSError:  # no locks here
            return descriptor
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        os.close(descriptor)  # its last owner removed it meanwhile
