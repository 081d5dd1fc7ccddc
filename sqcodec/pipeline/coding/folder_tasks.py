"""What of a folder is encoded or decoded, where to, and what of it is left out or left over."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from sqcodec.bitstream import message
from sqcodec.corpus.recordings import SUFFIXES, UNREADABLE, files_below
from sqcodec.errors import SqcodecError
from sqcodec.pipeline.coding.files import CODES_SUFFIXES
from sqcodec.pipeline.coding.folder_record import FolderRecord
from sqcodec.pipeline.paths import check_folder

_NAMED = 3  # outputs in a note


class Task(NamedTuple):
    """One file. Its paths are absolute, because a worker may run in another folder. shown: the path for messages;
    output: the path of its result in the folder of outputs."""

    source: Path
    target: Path
    shown: Path
    output: str


def tasks_of(source: Path, target: Path, suffixes: Collection[str], suffix: str, what: str) -> list[Task]:
    """Every file under `source` with one of `suffixes`, and the path of its result, which ends in `suffix`.

    what: the name of such files in messages. Raises SqcodecError: none, or `target` lies within `source`, or is named
    as a file.
    """
    check_folder(source, target)
    paths = [path.relative_to(source) for path in files_below(source, suffixes)]
    if not paths:
        raise SqcodecError(f"{source}: no {what} in it; expected files named {', '.join(suffixes)}")
    if target.suffix.lower() in (*CODES_SUFFIXES, *SUFFIXES, message.SUFFIX) and not target.exists():
        raise SqcodecError(f"{target}: the name of a file; {source} is a folder, so expected the folder to write to")
    stems, taken = Counter(path.with_suffix("") for path in paths), frozenset(paths)
    sources, targets = source.absolute(), target.absolute()
    outputs = [_renamed(path, suffix, stems, taken) for path in paths]
    return [
        Task(sources / path, targets / output, source / path, output.as_posix())
        for path, output in zip(paths, outputs, strict=True)
    ]


def left_out(source: Path) -> str:
    """A note on recordings in formats that cannot be read; "" if there are none."""
    found = files_below(source, UNREADABLE)
    kinds = ", ".join(sorted({path.suffix.lower() for path in found}))
    return f"{source}: left out {len(found)} files that cannot be read ({kinds}); convert them to FLAC" if found else ""


def messages_left(source: Path) -> str:
    """A note on messages, which are decoded by their names; "" if there are none."""
    number = len(files_below(source, (message.SUFFIX,)))
    return (
        f"{source}: left out {number} messages ({message.SUFFIX}); name those of one recording together"
        if number
        else ""
    )


def left_over(record: FolderRecord, source: Path, target: Path, tasks: Sequence[Task]) -> str:
    """A note on outputs of earlier runs whose source is gone, or has an output of another name now; "" if none."""
    outputs = record.left_of(source, {task.output for task in tasks})
    if not outputs:
        return ""
    names = ", ".join(str(target / output) for output in outputs[:_NAMED])
    more = f" and {len(outputs) - _NAMED} more" if len(outputs) > _NAMED else ""
    return f"left of an earlier run, and of no file that is there now: {names}{more}; remove what you do not need"


def _renamed(path: Path, suffix: str, stems: Counter[Path], taken: Collection[Path]) -> Path:
    """a.wav -> a.sqc; a.wav and a.flac in one folder -> a.wav.sqc and a.flac.sqc; then a.wav.wav -> a.wav.wav.sqc."""
    stem = path.with_suffix("")
    return path.with_suffix(suffix) if stems[stem] == 1 and stem not in taken else path.with_name(path.name + suffix)
