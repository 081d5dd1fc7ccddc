"""Arrays that took long to make and are kept in one file beside a training or a store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import TrainingError
from sqcodec.storage import written

_ESCAPED = "//"  # begins an entry whose name is escaped: no recording's name begins with it


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name, whole or not at all. Raises TrainingError: the file cannot be written."""
    with written(path, error=TrainingError) as draft, ZipFile(draft, "w") as file:
        for name, array in arrays.items():  # any name, also those that `np.savez` has for its own parameters
            with file.open(f"{_entry(name)}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def read_arrays(path: Path, names: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """What `write_arrays` wrote. Raises TrainingError: damaged, or one of `names` is not in it."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            arrays = {_name(entry): array for entry, array in kept.items()}
        if missing := [name for name in names if name not in arrays]:
            raise ValueError(f"has no array {missing[0]!r}")
    except (OSError, EOFError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise TrainingError(f"{path}: damaged, or not of sqcodec ({error}); remove it, it is made anew") from None
    return arrays


def _entry(name: str) -> str:
    """The ZIP entry of an array: its name, escaped where that is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return _ESCAPED + quote(name, errors="surrogatepass")
    return name


def _name(entry: str) -> str:
    """The name that `_entry` was given."""
    return unquote(entry[len(_ESCAPED) :], errors="surrogatepass") if entry.startswith(_ESCAPED) else entry
