"""Stamps tell whether a file or folder is another one than before, without reading it."""

from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """Size in bytes and time of the last change of a file."""

    size: int
    mtime_ns: int


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file; None if it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)
