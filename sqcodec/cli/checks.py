"""Checks of arguments before the imports that take a second: the library checks again, with the same texts."""

from pathlib import Path

from sqcodec.errors import AudioError, CorpusError


def is_folder(path: Path) -> bool:
    """Whether the path is a folder; `-` is standard input or output, whatever lies there."""
    return str(path) != "-" and path.is_dir()


def check_recordings(*sources: Path, target: Path) -> None:
    """Raise SqcodecError: a recording is missing, or no sound can be written to `target`."""
    from sqcodec.pipeline.coding.sound_files import SOUND_FORMATS
    from sqcodec.pipeline.paths import check_target, is_pipe

    for source in sources:
        check_target(source, target, SOUND_FORMATS)
        if not is_pipe(source) and not source.exists():
            raise _no_file(source)


def _no_file(path: Path) -> AudioError:
    return AudioError(f"{path}: missing: no such file; expected a recording (WAV, FLAC, Ogg, MP3...)")


def check_pair(reference: Path, degraded: Path) -> None:
    """Raise AudioError: one of what is to be scored is missing."""
    folders = reference.is_dir() or degraded.is_dir()
    for path in (reference, degraded):
        if not path.exists() and folders:
            raise AudioError(f"{path}: missing: no such folder; expected two folders, or two recordings")
        if not path.exists():
            raise _no_file(path)


def check_folder(data: Path | None) -> None:
    """Raise CorpusError: a folder of recordings is missing; None: it is not needed."""
    if data is not None and not data.is_dir():
        raise CorpusError(f"{data}: got no such folder, expected a folder of recordings")


def check_recipe(recipe: str) -> None:
    """Raise RecipeError: there is no such recipe."""
    from sqcodec.recipe import find_recipe

    find_recipe(recipe)
