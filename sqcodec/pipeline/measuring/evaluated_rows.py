"""The rows of an evaluation: one a file and codec, in `scores.jsonl`, with what is kept beside them."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sqcodec import __version__
from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.splits import Utterance
from sqcodec.corpus.transcripts import transcript_files, transcript_of
from sqcodec.errors import SqcodecError
from sqcodec.metrics.external import files_of
from sqcodec.metrics.signals import METRIC_RATE
from sqcodec.pipeline.measuring import results
from sqcodec.pipeline.measuring.codecs import CodecUnderTest, ModelUnderTest
from sqcodec.pipeline.measuring.scoring import Settings, Signal, score_signals
from sqcodec.pipeline.parallel import in_parallel
from sqcodec.pipeline.paths import written
from sqcodec.resampling import resample
from sqcodec.stamps import stamp_of
from sqcodec.storage import append_line, write_bytes, write_text

Progress = Callable[[int, int], None]  # how many of the files and systems are done, how many there are
ROWS = "scores.jsonl"
_LONGEST_NAME = 255 - len(".flac")  # bytes


@dataclass(frozen=True, kw_only=True)
class Task:
    """One file for one system; `key` changes when the row would."""

    system: CodecUnderTest
    utterance: Utterance
    settings: Settings
    folder: Path
    listen: bool
    key: str


def task_of(
    system: CodecUnderTest, utterance: Utterance, settings: Settings, folder: Path, kept: tuple[str, ...]
) -> Task:
    """The task of a codec and a recording; `kept`: names of the recordings whose sounds are."""
    judges = [path for judge in (settings.asr, settings.sv, settings.mos) if judge for path in files_of(judge)]
    read = [utterance.path, *(transcript_files(utterance.path) if settings.asr else []), *judges]
    stamp = [figure for path in read for figure in stamp_of(path) or ()]
    recording = [utterance.name, utterance.speaker, str(utterance.path.absolute()), stamp]
    text = json.dumps([__version__, system.name, system.identity, recording, asdict(settings)])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Task(
        system=system, utterance=utterance, settings=settings, folder=folder, listen=utterance.name in kept, key=key
    )


def all_rows(
    out: Path, tasks: list[Task], *, jobs: int, backend: str, progress: Progress | None
) -> list[dict[str, Any]]:
    """The row of each task, in their order: rows of an earlier run are kept, the others computed and written. Rows of
    other systems stay in the file.

    Before that goes whatever row has the codes and sounds that are made anew.
    """
    known = read_rows(out / ROWS)
    rows_by_key = {task.key: known[task.key] for task in tasks if task.key in known and _has_files(task)}
    missing = [task for task in tasks if task.key not in rows_by_key]
    anew = {(task.system.name, task.utterance.name) for task in missing}
    left = [row for row in known.values() if (row["system"], row["file"]) not in anew]
    if len(left) < len(known):
        _write_rows(out / ROWS, left)
    if progress:
        progress(len(rows_by_key), len(tasks))
    for row in in_parallel(_make_row, missing, jobs=jobs, backend=backend):
        rows_by_key[row["key"]] = row
        append_line(out / ROWS, json.dumps(row))
        if progress:
            progress(len(rows_by_key), len(tasks))
    rows = [rows_by_key[task.key] for task in tasks]
    _write_rows(out / ROWS, [*others_of(left, tasks), *rows])
    return rows


def others_of(rows: Iterable[dict[str, Any]], tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """The rows of systems that this evaluation has not; they stay, and so do their codes and sounds."""
    systems = {task.system.name for task in tasks}
    return [row for row in rows if row["system"] not in systems]


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run by their keys; an incomplete last line is left out."""
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.keys() >= {"key", "system", "file"} and "error" not in row:
            rows[row["key"]] = row
    return rows


def _has_files(task: Task) -> bool:
    codes, sound = results.codes_file(task.folder, task.system.name, task.utterance.name), _sound_file(task)
    reference = results.sound_file(task.folder, results.REFERENCE, task.utterance.name)
    heard = not task.listen or (sound.is_file() and reference.is_file())
    return (not isinstance(task.system, ModelUnderTest) or codes.is_file()) and heard


def _sound_file(task: Task) -> Path:
    return results.sound_file(task.folder, task.system.name, task.utterance.name)


def _make_row(task: Task) -> dict[str, Any]:
    """Code and score one file, keep codes and sound if asked; an error becomes part of the row."""
    utterance = task.utterance
    row: dict[str, Any] = {"system": task.system.name, "file": utterance.name, "speaker": utterance.speaker}
    try:
        _check_length(utterance)
        source, rate = AudioSource(utterance.path), task.system.sample_rate
        samples = source.read(METRIC_RATE)
        coded = task.system.encode_decode(samples if rate == METRIC_RATE else source.read(rate), utterance.speaker)
        sound = resample(coded.sound, rate, METRIC_RATE)
        text = transcript_of(utterance.path) if task.settings.asr else None
    except SqcodecError as error:
        return {**row, "error": str(error), "key": task.key}
    scored = score_signals(samples, sound, task.settings, text=text)
    row["words"] = scored.words
    seconds = len(samples) / METRIC_RATE
    scores = {"bit_rate": coded.bits / seconds, **scored.scores}
    if coded.error is not None:
        scores["db2"] = coded.error.db2(coded.decibels)
        row["values"] = coded.error.values
    if coded.note:
        row["note"] = coded.note
    if coded.codes is not None:
        path = results.codes_file(task.folder, task.system.name, utterance.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, coded.codes)
    if task.listen:
        _save_sound(_sound_file(task), scored.aligned)
        _save_sound(results.sound_file(task.folder, results.REFERENCE, utterance.name), samples)
    return {
        **row, "seconds": seconds, "bits": coded.bits, "delay": scored.delay, "scores": scores, "failed": scored.failed,
        "key": task.key,
    }  # fmt: skip


def _check_length(utterance: Utterance) -> None:
    """Raise SqcodecError: no file system holds codes and sound of such a name."""
    if len(os.fsencode(Path(utterance.name).name)) > _LONGEST_NAME:
        raise SqcodecError(
            f"{utterance.path}: its name is too long for the codes and sounds that are kept of it; rename it"
        )


def _save_sound(path: Path, samples: Signal) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written(path) as draft:  # several systems may write one reference
        soundfile.write(os.fsencode(draft), np.clip(samples, -1.0, 1.0), METRIC_RATE, subtype="PCM_16", format="FLAC")
