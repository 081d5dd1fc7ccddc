"""Export the codes of a corpus in shards, for language models. Shards that are up to date are kept, failures listed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec import __version__
from sqcodec.bitstream.exported_row import META, ExportFormat, ExportMeta, Row, read_meta, tree_of
from sqcodec.bitstream.shard_file import SUFFIXES, check_format, write_shard
from sqcodec.codes import Codes
from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.folder import find_recordings
from sqcodec.corpus.transcripts import transcript_of
from sqcodec.errors import CorpusError, SqcodecError
from sqcodec.file_names import readable
from sqcodec.layouts import LayoutName
from sqcodec.model.model_header import model_digest
from sqcodec.pipeline.coding.files import bit_rate_note
from sqcodec.pipeline.coding.folder_record import State
from sqcodec.pipeline.coding.folders import Workers
from sqcodec.pipeline.coding.notes import Note, recording_notes
from sqcodec.pipeline.coding.open_codecs import cached_codec
from sqcodec.pipeline.coding.outcomes import FileResult, FolderResult, Outcome
from sqcodec.pipeline.coding.shard_record import ShardRecord, digest_of
from sqcodec.pipeline.coding.watched import ShowProgress
from sqcodec.pipeline.finding.model_card import licence_of
from sqcodec.pipeline.finding.models import find_for_encoding, model_name
from sqcodec.pipeline.parallel import in_parallel
from sqcodec.pipeline.paths import check_folder, written
from sqcodec.stamps import stamp_of
from sqcodec.storage import write_json


class _Task(NamedTuple):
    """A recording. source: absolute, because a worker may run in another folder; shown: the path for messages; problem:
    why its transcript cannot be read."""

    name: str
    source: Path
    shown: str
    speaker: str | None
    text: str | None
    problem: str | None


class _Done(NamedTuple):
    """What a worker returns. row: None: it failed, and `reason` says why. size: bytes of its ids."""

    number: int
    row: dict[str, Any] | None = None
    seconds: float = 0.0
    size: int = 0
    notes: tuple[Note, ...] = ()
    reason: str | None = None


class _Shard(NamedTuple):
    """A shard before the work. key: digest of what decides its content; numbers: of its tasks."""

    output: str
    key: str
    state: State
    numbers: range


def export_folder(
    source: Path,
    target: Path,
    *,
    form: ExportFormat,
    layout: LayoutName,
    offset: int,
    model: str | None,
    speaker: str | None,
    codebooks: int | None,
    bit_rate: float | None,
    rows_per_shard: int,
    device: str,
    workers: Workers,
    progress: ShowProgress,
) -> FolderResult:
    """Encode every recording under `source` to a row of a shard in `target`, beside a `meta.json`.

    speaker: the model's, None: the nearest; rows name the folder of a recording as its speaker. Shards that these
    recordings and transcripts gave with these settings before are kept. Raises ModelError: no model; CodesError: it has
    fewer codebooks; CorpusError: no recordings; SqcodecError: `target` holds another export, or lies within `source`.
    """
    check_folder(source, target)
    check_format(form)
    tasks = _tasks(source)
    found = find_for_encoding(model)
    path = found.path.resolve()
    codec = cached_codec(path, device if workers.backend == "local" else "cpu")
    number = codec.codebooks_for(codebooks=codebooks, bit_rate=bit_rate)
    meta = ExportMeta(
        form=form,
        layout=layout,
        offset=offset,
        codewords=codec.space.codewords[:number],
        sample_rate=codec.sample_rate,
        samples_per_frame=codec.features.samples_per_code,
        model=model_name(found.path),
        fingerprint=codec.fingerprint,
        licence=licence_of(found.path),
        rows_per_shard=rows_per_shard,
    )
    _begin(target, meta)
    record = ShardRecord(target)
    settings = {"sqcodec": __version__, "model": model_digest(path), "speaker": speaker, "meta": meta.as_json()}
    shards = [_shard(record, settings, tasks, meta, start) for start in range(0, len(tasks), rows_per_shard)]
    function = partial(_encode, path, device, speaker, number, meta)
    report = partial(progress, workers.work(codec.engine.device))
    done = _run(function, shards, tasks, meta, target, record, workers=workers, report=report)
    files = tuple(_result(record, shard, tasks[each], done.get(each)) for shard in shards for each in shard.numbers)
    record.remove_others({shard.output for shard in shards})
    rows = sum(file.outcome != "failed" for file in files)
    write_json(target / META, meta.as_json() | {"complete": True, "rows": rows})
    return FolderResult(files=files, notes=tuple(filter(None, (found.note, bit_rate_note(codec, bit_rate)))))


def _tasks(source: Path) -> list[_Task]:
    tasks = []
    for name, path in find_recordings(source).items():
        try:
            text, problem = transcript_of(path), None
        except CorpusError as error:
            text, problem = None, str(error)
        speaker = None if path.parent == source else readable(path.parent.name)
        tasks.append(_Task(readable(name), path.absolute(), str(path), speaker, text, problem))
    return tasks


def _begin(target: Path, meta: ExportMeta) -> None:
    """Write the `meta.json` of an export that is not complete. Raises SqcodecError: there is one of another export."""
    target.mkdir(parents=True, exist_ok=True)
    if (target / META).exists() and (former := read_meta(target).as_json()) != meta.as_json():
        other = ", ".join(f"{name} {former[name]}" for name, value in meta.as_json().items() if former[name] != value)
        raise SqcodecError(f"{target}: holds another export ({other}); write to another folder, or remove it")
    write_json(target / META, meta.as_json() | {"complete": False})


def _shard(
    record: ShardRecord, settings: Mapping[str, Any], tasks: Sequence[_Task], meta: ExportMeta, start: int
) -> _Shard:
    numbers = range(start, min(start + meta.rows_per_shard, len(tasks)))
    own = [tasks[number] for number in numbers]
    key = digest_of(
        settings,
        [(task.name, str(task.source), task.speaker, task.text, task.problem, stamp_of(task.source)) for task in own],
    )
    output = f"codes-{start // meta.rows_per_shard:05d}{SUFFIXES[meta.form]}"
    return _Shard(output, key, record.state(output, key), numbers)


def _run(
    function: "partial[_Done]",
    shards: Sequence[_Shard],
    tasks: Sequence[_Task],
    meta: ExportMeta,
    target: Path,
    record: ShardRecord,
    *,
    workers: Workers,
    report: Callable[[int, int], None],
) -> dict[int, _Done]:
    """Encode the recordings of shards that are not up to date. A shard is written once all of its rows are there."""
    work = [(number, tasks[number]) for shard in shards if shard.state != "kept" for number in shard.numbers]
    waiting: dict[int, dict[int, _Done]] = {}
    finished: dict[int, _Done] = {}
    report(0, len(work))
    for done in in_parallel(function, work, jobs=workers.jobs, backend=workers.backend):
        place = done.number // meta.rows_per_shard
        rows = waiting.setdefault(place, {})
        rows[done.number] = done
        if len(rows) == len(shards[place].numbers):
            _write(shards[place], [rows[number] for number in shards[place].numbers], tasks, meta, target, record)
            finished |= {number: each._replace(row=None) for number, each in waiting.pop(place).items()}
        report(len(finished) + sum(map(len, waiting.values())), len(work))
    return finished


def _write(
    shard: _Shard, done: Sequence[_Done], tasks: Sequence[_Task], meta: ExportMeta, target: Path, record: ShardRecord
) -> None:
    rows, stamp = [each.row for each in done if each.row is not None], None
    if rows:
        with written(target / shard.output) as draft:
            write_shard(draft, rows, meta)
            stamp = stamp_of(draft)
    else:
        (target / shard.output).unlink(missing_ok=True)
    record.add(shard.output, shard.key, {tasks[each.number].name: each.reason for each in done if each.reason}, stamp)


def _result(record: ShardRecord, shard: _Shard, task: _Task, done: _Done | None) -> FileResult:
    reason = record.failed(shard.output).get(task.name)
    outcome: Outcome = "failed" if reason is not None else shard.state
    done = done or _Done(0)
    return FileResult(task.shown, shard.output, outcome, done.seconds, done.size, done.notes, reason)


def _encode(
    model: Path, device: str, speaker: str | None, codebooks: int, meta: ExportMeta, work: tuple[int, _Task]
) -> _Done:
    """Encode one recording. Its errors, whatever they are, do not stop the others."""
    number, task = work
    try:
        if task.problem is not None:
            raise CorpusError(task.problem)
        audio = AudioSource(task.source)
        codes: Codes = cached_codec(model, device).encode_recording(audio, speaker=speaker, codebooks=codebooks)
        row = tree_of(Row(task.name, task.speaker, task.text, codes), meta)
        return _Done(number, row, codes.seconds, row["audio_codes"].nbytes, tuple(recording_notes(audio, task.shown)))
    except Exception as error:
        reason = str(error) if isinstance(error, SqcodecError) else f"{task.source}: {type(error).__name__}: {error}"
        return _Done(number, reason=reason.replace(str(task.source), task.shown))
