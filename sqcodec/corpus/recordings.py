"""Find the recordings in a user's folders: by suffix, sorted, links followed, hidden files left out."""

from collections.abc import Collection, Iterator
from pathlib import Path

from sqcodec.errors import CorpusError

# suffix -> libsndfile's name of the format; RAW is missing, since a file without a header cannot be read
SUFFIXES = {
    ".wav": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
    ".aiff": "AIFF",
    ".aif": "AIFF",
    ".aifc": "AIFF",
    ".au": "AU",
    ".snd": "AU",
    ".caf": "CAF",
    ".w64": "W64",
    ".rf64": "RF64",
    ".wave": "WAV",
    ".wavex": "WAVEX",
    ".sph": "NIST",
    ".nist": "NIST",
    ".avr": "AVR",
    ".htk": "HTK",
    ".ircam": "IRCAM",
    ".mat4": "MAT4",
    ".mat5": "MAT5",
    ".mpc2k": "MPC2K",
    ".paf": "PAF",
    ".pvf": "PVF",
    ".sd2": "SD2",
    ".sds": "SDS",
    ".svx": "SVX",
    ".voc": "VOC",
    ".wve": "WVE",
    ".xi": "XI",
}
# suffixes of recordings that libsndfile cannot read
UNREADABLE = frozenset({".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mka", ".ape", ".wv", ".ac3", ".ra"})
_ARCHIVERS = "__MACOSX"  # what macOS puts beside the files of an archive


def files_below(root: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Files in `root` and its folders whose suffix, in lower case, is one of `suffixes`; sorted.

    Links to files and folders are followed, except links to a folder that contains them; a link to nothing counts as
    a file, which cannot be read. Hidden files and folders are left out. Raises CorpusError: a folder cannot be read.
    """
    return sorted(path for path in _walk(root, frozenset()) if path.suffix.lower() in suffixes)


def files_in(folder: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """As `files_below`, without the folders in `folder`."""
    return sorted(path for path in _entries(folder) if path.suffix.lower() in suffixes and _is_named(path))


def _is_named(path: Path) -> bool:
    """Whether it is a file, or a link whose file is missing: to be reported, not passed over."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """Files below a folder. above: device and inode of each folder on the way to it."""
    if not folder.is_dir():
        return
    status = folder.stat()
    here = status.st_dev, status.st_ino
    if here in above:
        return
    for path in _entries(folder):
        if path.is_dir():
            yield from _walk(path, above | {here})
        elif _is_named(path):
            yield path


def _entries(folder: Path) -> list[Path]:
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CorpusError(
            f"{folder}: cannot be read ({error.strerror}); make the folder readable, or move it elsewhere"
        ) from error
    return [path for path in paths if path.name[0] != "." and path.name != _ARCHIVERS]
