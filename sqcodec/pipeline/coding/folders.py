"""Encode and decode folders: the tree is mirrored, files that are up to date are kept, failures are listed."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec.bitstream import npy
from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.recordings import SUFFIXES, files_below
from sqcodec.errors import SqcodecError
from sqcodec.model.model_header import read_header as read_model_header
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.files import (
    CODES_SUFFIXES,
    CodesFormat,
    bare_array_note,
    channels_note,
    decode_with,
    encode_with,
    find_model_for,
    identify,
    open_with,
)
from sqcodec.pipeline.coding.sound_files import clipping_note
from sqcodec.pipeline.finding.code_spaces import names_of
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.parallel import in_parallel

Progress = Callable[[int, int], None]
_Work = tuple[Any, ...]


class Failure(NamedTuple):
    """A file that failed, and the reason."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class FolderResult:
    """The result for a folder.

    processed, kept: numbers of files that were written now, and that were up to date. seconds, size (bytes of codes):
    of those written now. notes: one line per kind of note.
    """

    processed: int
    kept: int
    failed: tuple[Failure, ...]
    seconds: float
    size: int
    notes: tuple[str, ...]


class Workers(NamedTuple):
    """Parallel work: jobs is the number of processes, backend as `in_parallel` takes it."""

    jobs: int
    backend: str


class _Task(NamedTuple):
    """One file. Its paths are absolute, because a worker may run in another folder. shown: the path for messages."""

    source: Path
    target: Path
    shown: Path


class _Result(NamedTuple):
    seconds: float
    size: int
    failure: Failure | None
    notes: tuple[str, ...]  # one per kind, "": none


def encode_folder(
    source: Path,
    target: Path,
    *,
    model: str | None,
    speaker: str | None,
    device: str,
    form: CodesFormat | None,
    codebooks: int | None,
    bit_rate: float | None,
    workers: Workers,
    progress: Progress,
) -> FolderResult:
    """Encode every recording under `source` to the same relative path under `target`.

    A codes file of this model that is newer than its recording is kept. Raises ModelError: no model;
    SqcodecError: no recordings, or `target` lies within `source`.
    """
    form = form or "sqc"
    tasks = _tasks(source, target, SUFFIXES, f".{form}", "recordings")
    found = find_for_encoding(model)
    names = names_of(read_model_header(found.path))
    outdated = [task for task in tasks if not _is_encoded(task, names)]
    work: list[_Work] = [
        (task, str(found.path.resolve()), device, speaker, form, codebooks, bit_rate) for task in outdated
    ]
    return _run(_encode, work, len(tasks) - len(work), (found.note,), workers=workers, progress=progress)


def decode_folder(
    source: Path,
    target: Path,
    *,
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int | None,
    device: str,
    workers: Workers,
    progress: Progress,
) -> FolderResult:
    """Decode every codes file under `source` to a WAV file at the same relative path under `target`.

    rate: Hz; None: the model's. A WAV file that is newer than its codes is kept. Raises SqcodecError: no codes files,
    or `target` lies within `source`.
    """
    tasks = _tasks(source, target, CODES_SUFFIXES, ".wav", "codes files")
    work: list[_Work] = [(task, model, device, speaker, vocoder, rate) for task in tasks if not _is_newer(task)]
    return _run(_decode, work, len(tasks) - len(work), (), workers=workers, progress=progress)


def _run(
    function: Callable[..., _Result],
    work: list[_Work],
    kept: int,
    notes: tuple[str, ...],
    *,
    workers: Workers,
    progress: Progress,
) -> FolderResult:
    results = []
    for result in in_parallel(partial(_attempt, function), work, jobs=workers.jobs, backend=workers.backend):
        results.append(result)
        progress(len(results), len(work))
    failed = sorted(result.failure for result in results if result.failure)
    return FolderResult(
        processed=len(results) - len(failed),
        kept=kept,
        failed=tuple(failed),
        seconds=sum(result.seconds for result in results),
        size=sum(result.size for result in results),
        notes=(*filter(None, notes), *_summarise_notes([result.notes for result in results])),
    )


def _summarise_notes(notes: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """For each kind of note the first text in order, and the number of other files with this kind."""
    for kind in zip_longest(*notes, fillvalue=""):
        texts = sorted({text for text in kind if text})
        if texts:
            more = len(texts) - 1
            yield texts[0] + (f" (and {more} more file{'s' * (more > 1)} like it)" if more else "")


def _attempt(function: Callable[..., _Result], work: _Work) -> _Result:
    """Process one file. Its errors become a Failure and do not stop the other files."""
    task, *options = work
    try:
        task.target.parent.mkdir(parents=True, exist_ok=True)
        return function(task, *options)
    except (SqcodecError, OSError, RuntimeError, ValueError, MemoryError) as error:
        reason = str(error) if isinstance(error, SqcodecError) else f"{task.source}: {type(error).__name__}: {error}"
        return _Result(0.0, 0, Failure(task.shown, reason.replace(str(task.source), str(task.shown))), ())


def _encode(
    task: _Task,
    model: str,
    device: str,
    speaker: str | None,
    form: CodesFormat,
    codebooks: int | None,
    bit_rate: float | None,
) -> _Result:
    codec = _codec(model, device)
    codebooks = codec.codebooks_for(codebooks=codebooks, bit_rate=bit_rate)
    audio = AudioSource(task.source)
    result = encode_with(codec, audio, task.target, speaker=speaker, form=form, codebooks=codebooks)
    return _Result(result.seconds, result.size, None, (channels_note(audio, str(task.shown)),))


def _decode(
    task: _Task, model: str | None, device: str, speaker: str | None, vocoder: str | None, rate: int | None
) -> _Result:
    file = identify(npy.read_bytes(task.source), str(task.source))
    found = find_model_for(file, model)
    codec = _codec(str(found.path.resolve()), device)
    rate = rate or codec.sample_rate
    result = decode_with(
        open_with(codec, file), task.target, where=file.where, speaker=speaker, vocoder=vocoder, rate=rate
    )
    shown = str(task.shown)
    notes = (
        found.note,
        bare_array_note(file._replace(where=shown), found),
        codec.vocoder(vocoder).note,
        clipping_note(result, shown),
    )
    return _Result(result.samples / rate, len(file.content), None, notes)


def _tasks(source: Path, target: Path, suffixes: Collection[str], suffix: str, what: str) -> list[_Task]:
    """Every file under `source` with one of `suffixes`, and the path of its result."""
    if target.exists() and not target.is_dir():
        raise SqcodecError(f"{target}: a file; {source} is a folder, so expected the folder to write to")
    if target.resolve().is_relative_to(source.resolve()):
        raise SqcodecError(f"{target}: lies within {source}; write to a folder beside it")
    paths = [path.relative_to(source) for path in files_below(source, suffixes)]
    if not paths:
        raise SqcodecError(f"{source}: no {what} in it; expected files named {', '.join(suffixes)}")
    stems = Counter(path.with_suffix("") for path in paths)
    sources, targets = source.absolute(), target.absolute()
    return [_Task(sources / path, targets / _renamed(path, suffix, stems), source / path) for path in paths]


def _renamed(path: Path, suffix: str, stems: Counter[Path]) -> Path:
    """a.wav -> a.sqc; a.wav and a.flac in one folder -> a.wav.sqc and a.flac.sqc."""
    return path.with_suffix(suffix) if stems[path.with_suffix("")] == 1 else path.with_name(path.name + suffix)


def _is_newer(task: _Task) -> bool:
    try:
        return task.target.stat().st_mtime_ns >= task.source.stat().st_mtime_ns
    except OSError:
        return False


def _is_encoded(task: _Task, names: tuple[str, ...]) -> bool:
    """Whether the target is newer than the recording and of this model, which has these identities."""
    if not _is_newer(task):
        return False
    try:
        return identify(npy.read_bytes(task.target), str(task.target)).identity in names
    except SqcodecError:
        return False


@lru_cache(maxsize=4)
def _codec(path: str, device: str) -> Codec:
    """The codec of a model file, opened once per process."""
    return open_codec(Path(path), device)
