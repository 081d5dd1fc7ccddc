"""Encode and decode folders: the tree is mirrored, what is up to date is kept, failures are listed.

Up to date is what the same source gave with the same settings: the folder's record says so (`folder_record`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec import __version__
from sqcodec.bitstream import npy
from sqcodec.corpus.recordings import SUFFIXES
from sqcodec.errors import SqcodecError
from sqcodec.model.model_header import model_digest
from sqcodec.model.model_header import read_header as read_model_header
from sqcodec.pipeline.coding.codes_files import find_model, identify
from sqcodec.pipeline.coding.files import (
    CODES_SUFFIXES,
    CodesFormat,
    bit_rate_note,
    check_block,
    check_coder,
    check_dtype,
)
from sqcodec.pipeline.coding.folder_record import FolderRecord, State
from sqcodec.pipeline.coding.folder_tasks import Task, left_out, left_over, messages_left, tasks_of
from sqcodec.pipeline.coding.folder_work import Decoding, Done, Encoding, Group, decode_each, encode_each
from sqcodec.pipeline.coding.open_codecs import cached_codec
from sqcodec.pipeline.coding.outcomes import FileResult, FolderResult, Outcome
from sqcodec.pipeline.coding.rate_control import Options
from sqcodec.pipeline.coding.watched import ShowProgress
from sqcodec.pipeline.finding.models import find_for_encoding
from sqcodec.pipeline.finding.vocoders import choose_vocoder
from sqcodec.pipeline.parallel import in_parallel
from sqcodec.stamps import Stamp, stamp_of
from sqcodec.storage import file_digest
from sqcodec.vocoder.interface import VocoderPrecision

_TOGETHER = 16  # codes files that are read side by side, three to six times as quickly as one by one
_MOST_BYTES = 1 << 16  # of them: five minutes of speech, or one file
_SHARES = 4  # groups for each process at least, where there are files enough
_ON_CLUSTER = 64  # processes that a cluster may have

_Settings = dict[str, Any]


class Workers(NamedTuple):
    """Parallel work: jobs is the number of processes, backend as `in_parallel` takes it."""

    jobs: int
    backend: str

    def work(self, device: str) -> str:
        """What is reported of the work: its unit, and what does it."""
        if self.backend != "local":
            return "files on a cluster"
        return f"files on {device}" + (f" in {self.jobs} processes" if self.jobs > 1 else "")


class _Plan(NamedTuple):
    """One file before the work: whether its output is there, and the stamp of its source."""

    task: Task
    state: State
    stamp: Stamp | None


def encode_folder(
    source: Path,
    target: Path,
    *,
    model: str | None,
    speaker: str | None,
    device: str,
    form: CodesFormat | None,
    options: Options,
    dtype: npy.Dtype | None,
    block: float | None,
    workers: Workers,
    progress: ShowProgress,
) -> FolderResult:
    """Encode every recording under `source` to the same relative path under `target`.

    Codes that this recording gave with these settings before are kept. Raises ModelError: no model; CodesError: it has
    fewer codebooks; SqcodecError: no recordings, or `target` lies within `source`, or is named as a file.
    """
    form = form or "sqc"
    check_dtype(dtype, form)
    check_coder(options, form)
    check_block(block, form)
    tasks = tasks_of(source, target, SUFFIXES, f".{form}", "recordings")
    found = find_for_encoding(model)
    codec = cached_codec(found.path, device if workers.backend == "local" else "cpu")
    asked, goal = options.bit_rate, options.goal(form, context_model=codec.has_true_rates)
    if goal is None:
        number = codec.codebooks_for(codebooks=options.codebooks, bit_rate=options.bit_rate)
        options = Options(codebooks=number, coder=options.coder)
    settings = {
        "sqcodec": __version__, "model": model_digest(found.path), "speaker": speaker, "format": form,
        **{name: value for name, value in asdict(options).items() if value is not None},
        **({"dtype": dtype} if dtype else {}), **({"block": block} if block else {}),
    }  # fmt: skip
    record = FolderRecord(target)
    plans = [_Plan(task, record.state(task.output, task.source, settings), stamp_of(task.source)) for task in tasks]
    function = partial(encode_each, Encoding(found.path.resolve(), device, speaker, form, options, dtype, block))
    notes = (
        found.note,
        bit_rate_note(codec, None if goal else asked),
        left_out(source),
        left_over(record, source, target, tasks),
    )
    report = partial(progress, workers.work(codec.engine.device))
    files = _run(function, plans, record, lambda _: settings, workers=workers, report=report)
    return FolderResult(files=files, notes=tuple(filter(None, notes)))


def decode_folder(
    source: Path,
    target: Path,
    *,
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int | None,
    device: str,
    precision: VocoderPrecision,
    workers: Workers,
    progress: ShowProgress,
) -> FolderResult:
    """Decode every codes file under `source` to a WAV file at the same relative path under `target`.

    rate: Hz; None: the model's. Sound that these codes gave with these settings before is kept. Raises SqcodecError: no
    codes files, or `target` lies within `source`, or is named as a file.
    """
    tasks = tasks_of(source, target, CODES_SUFFIXES, ".wav", "codes files")
    settings_of = lru_cache(partial(_decoding_settings, model, speaker, vocoder, rate, precision))
    record = FolderRecord(target)
    plans = [_Plan(task, _decoded_state(record, task, settings_of), stamp_of(task.source)) for task in tasks]
    function = partial(decode_each, Decoding(model, device, precision, speaker, vocoder, rate))
    todo = [plan.task.source for plan in plans if plan.state != "kept"]
    where = _decoding_device(todo[0], model, device, precision) if todo and workers.backend == "local" else device
    report = partial(progress, workers.work(where))
    notes = (messages_left(source), left_over(record, source, target, tasks))
    files = _run(function, plans, record, settings_of, workers=workers, report=report, together=_TOGETHER)
    return FolderResult(files=files, notes=tuple(filter(None, notes)))


def _decoding_device(source: Path, model: str | None, device: str, precision: VocoderPrecision) -> str:
    """Where the model of a codes file runs; `device` as it was asked for, where the file is of no use."""
    try:
        found = find_model(identify(npy.read_bytes(source), str(source)).identity, model)
        return cached_codec(found.path, device, precision).engine.device
    except SqcodecError:
        return device


def _decoded_state(record: FolderRecord, task: Task, settings_of: Callable[[str | None], _Settings]) -> State:
    if not task.target.exists():
        return "new"
    try:
        identity = identify(npy.read_bytes(task.source), str(task.source)).identity
        return record.state(task.output, task.source, settings_of(identity))
    except SqcodecError:
        return "redone"  # or rather not: its worker will say why


def _decoding_settings(
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int | None,
    precision: VocoderPrecision,
    identity: str | None,
) -> _Settings:
    """What decides the sound of the codes of a model, but the codes."""
    found = find_model(identity, model)
    header = read_model_header(found.path)
    chosen = choose_vocoder(vocoder, header.features, codec=header.fingerprint, beside=found.path).path
    return {
        "sqcodec": __version__, "model": model_digest(found.path), "speaker": speaker,
        "vocoder": file_digest(chosen) if chosen else "griffin-lim",
        "rate": rate or header.features.sample_rate, "precision": precision,
    }  # fmt: skip


def _run(
    function: Callable[[Group], Iterator[Done]],
    plans: Sequence[_Plan],
    record: FolderRecord,
    settings_of: Callable[[str | None], _Settings],
    *,
    workers: Workers,
    report: Callable[[int, int], None],
    together: int = 1,
) -> tuple[FileResult, ...]:
    """Process the files whose outputs are not up to date, and record them. together: how many at most a call takes."""
    work = [(number, plan.task) for number, plan in enumerate(plans) if plan.state != "kept"]
    processes = workers.jobs if workers.backend == "local" else _ON_CLUSTER
    groups = list(_groups(work, max(1, min(together, len(work) // (_SHARES * processes)))))
    finished: dict[int, Done] = {}
    report(0, len(work))
    each = function if processes == 1 else partial(_listed, function)  # here each file counts when it is finished
    made = in_parallel(each, groups, jobs=workers.jobs, backend=workers.backend)
    for done in chain.from_iterable(made):
        finished[done.number] = done
        plan = plans[done.number]
        if done.reason is None:
            record.add(plan.task.output, plan.task.source, plan.stamp, settings_of(done.identity), done.stamp)
        report(len(finished), len(work))
    results = []
    for number, (task, state, _) in enumerate(plans):
        done = finished.get(number, Done(number))
        outcome: Outcome = "failed" if done.reason is not None else state
        shown = str(task.shown)
        results.append(FileResult(shown, task.output, outcome, done.seconds, done.size, done.notes, done.reason))
    return tuple(results)


def _groups(work: Group, together: int) -> Iterator[Group]:
    """Files in their order, `together` at most and no more than are read in a moment."""
    group, size = list[tuple[int, Task]](), 0
    for number, task in work:
        group.append((number, task))
        with suppress(OSError):  # its worker will say why
            size += task.source.stat().st_size
        if len(group) == together or size > _MOST_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _listed(function: Callable[[Group], Iterator[Done]], group: Group) -> list[Done]:
    return list(function(group))
