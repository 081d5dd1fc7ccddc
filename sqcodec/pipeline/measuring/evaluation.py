"""The verb `evaluate`: code every recording with every codec, score the results, and write them.

In the folder: scores.jsonl (a row per file and codec, written at once, so that an interrupted run resumes),
scores.json and scores.md (means and rates), codes/ (the files of a model), sounds/ (what the page plays), index.html.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec import __version__
from sqcodec.errors import SqcodecError
from sqcodec.locking import alone
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.coding.rate_control import DEFAULT_EFFORT, Effort, Goal
from sqcodec.pipeline.finding.models import find_for_encoding, model_name
from sqcodec.pipeline.finding.vocoders import vocoder_name
from sqcodec.pipeline.measuring import results
from sqcodec.pipeline.measuring.codecs import CodecUnderTest, ModelUnderTest, OriginalUnderTest, find_baselines
from sqcodec.pipeline.measuring.evaluated_rows import ROWS, Progress, all_rows, others_of, read_rows, task_of
from sqcodec.pipeline.measuring.protocol import METRICS, Protocol, costs_of
from sqcodec.pipeline.measuring.protocol import write as write_protocol
from sqcodec.pipeline.measuring.rate_curves import read_curves, savings
from sqcodec.pipeline.measuring.scoring import Settings, left_out, reasons
from sqcodec.pipeline.measuring.utterances import credits_of, find_set, find_utterances, spread


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The results that `evaluate` wrote, and notes for the user."""

    folder: Path
    table: str
    files: int
    systems: tuple[str, ...]
    errors: int
    notes: tuple[str, ...]


def evaluate(
    model: str | None,
    out: Path,
    settings: Settings,
    *,
    data: Path | None = None,
    list_file: Path | None = None,
    bit_rates: Sequence[float] = (),
    effort: Effort | None = None,
    against: Path | None = None,
    protocol: Protocol | None = None,
    vocoder: str | None = None,
    baselines: Sequence[str] = (),
    listen: int = 8,
    write_scp: bool = False,
    jobs: int = 1,
    backend: str = "local",
    device: str = "cpu",
    progress: Progress | None = None,
    wording: Callable[[str], str] = str,
) -> Evaluated:
    """Evaluate a model beside `baselines` on a folder of recordings or a list; `listen` files go on the page.

    data, list_file: a folder, a list, or a list of paths below the folder.

    bit_rates: in bit/s, at each of which the model takes part: of whole files where the model has true rates and
    `effort` is not 0, else nominal, with as many codebooks as fit; none means the model's default. effort: as of
    `encode`. against: the results of another evaluation; bits at equal quality are compared with its systems, too.
    protocol: a set of LibriSpeech that `data` holds. The recordings themselves take part, only what the protocol asks
    for is scored, and its table is written beside the results, and returned.
    vocoder: a kind, a file or a run; None means the best that there is.
    write_scp: keep the sound of every file, and a Kaldi list of each codec's, `sounds/NAME/wav.scp`.
    wording: what makes of a note the text that is written; a command names its options where notes name arguments.
    Rows that an earlier call left in `out`, made with the same model, settings and recordings, are kept.
    Raises CorpusError: no recordings; ModelError: no model; CodesError: a bit rate below the model's lowest;
    SqcodecError: an unknown baseline, `against` has no results, or no file was coded.
    """
    rivals = read_curves(against) if against else {}
    if protocol:
        settings = replace(settings, only=METRICS)
        utterances = find_set(protocol, data, list_file, words=settings.asr is not None)
    else:
        utterances = find_utterances(data, list_file, without=out)
    found = find_for_encoding(model)
    codec = open_codec(found.path, device)
    chosen = codec.vocoder(vocoder)
    sound = str(chosen.path) if chosen.path else "griffin-lim"
    ours = _models(codec, found.path, _Asked(tuple(bit_rates), effort), sound, device)
    others, absent = find_baselines(list(dict.fromkeys(baselines)))
    systems: list[CodecUnderTest] = [*([OriginalUnderTest()] if protocol else []), *ours, *others]
    _check_names(systems)
    out.mkdir(parents=True, exist_ok=True)
    listened = spread(utterances, listen)
    kept = tuple(utterance.name for utterance in utterances) if write_scp else listened
    tasks = [task_of(system, utterance, settings, out, kept) for utterance in utterances for system in systems]
    with alone(out):
        before = read_rows(out / ROWS)
        of_others = len(others_of(before.values(), tasks))
        former = len(before.keys() - {task.key for task in tasks}) - of_others
        rows = all_rows(out, tasks, jobs=jobs, backend=backend, progress=progress)
        errors = tuple(wording(f"{row['system']}, {row['file']}: {row['error']}") for row in rows if "error" in row)
        if len(errors) == len(rows):
            raise SqcodecError(f"{out}: no file could be coded; the first: {errors[0]}")
        gone = f"{out / ROWS}: {former} rows of other recordings or settings were replaced" if former else ""
        stay = f"{out / ROWS}: {of_others} rows of other systems stay, and are not in the tables" if of_others else ""
        corpus_notes = [note for note in (found.note, chosen.note, gone, stay) if note]
        missing = reasons(row["failed"] for row in rows if "failed" in row)
        notes = (*corpus_notes, *absent, *left_out(settings), *missing, *_beyond(rows), *_failures(errors))
        summaries = results.summarise(systems, rows, out)
        notes = tuple(map(wording, (*notes, *savings(ours[0].family, results.curves(summaries), rivals))))
        about = {
            "sqcodec": __version__,
            "model": model_name(found.path),
            "fingerprint": codec.fingerprint,
            "vocoder": vocoder_name(chosen.path),
            "data": str(list_file or data),
            "files": len(utterances),
            "settings": asdict(settings),
        }
        if write_scp:
            results.write_scp(out, rows)
        table = results.write(
            out, summaries, rows, about=about, settings=settings, listened=credits_of(utterances, listened), notes=notes
        )
        if protocol:
            costs = costs_of(ours, summaries)
            table = write_protocol(
                out, protocol, summaries, costs, about=about, settings=settings, failures=_failures(errors)
            )
    return Evaluated(
        folder=out, table=table, files=len(utterances), systems=tuple(system.name for system in systems),
        errors=len(errors), notes=notes,
    )  # fmt: skip


def _check_names(systems: Sequence[CodecUnderTest]) -> None:
    """Raise SqcodecError: codes and sounds of two codecs would lie in one folder."""
    names = [system.name for system in systems]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SqcodecError(f"{twice[0]}: the name of two codecs here; copy the model to a folder of another name")


class _Asked(NamedTuple):
    """Bit rates at which a model takes part, and the effort to reach them; see `evaluate`."""

    bit_rates: tuple[float, ...]
    effort: Effort | None


def _models(codec: Codec, path: Path, asked: _Asked, vocoder: str, device: str) -> list[ModelUnderTest]:
    """The model at each rate, named by the rate it is to have; at its default when none is asked for."""
    name, books = path.parent.name, len(codec.header.codewords)
    if name in ("", ".."):
        name = path.resolve().parent.name or "model"
    if name in (results.REFERENCE, OriginalUnderTest().name):  # of the recordings themselves
        name += "-model"
    model = ModelUnderTest(
        name=name, family=name, path=path, fingerprint=codec.fingerprint, codebooks=books, vocoder=vocoder,
        device=device,
    )  # fmt: skip
    if asked.bit_rates and codec.has_true_rates and asked.effort != 0:
        effort = asked.effort or DEFAULT_EFFORT
        rates = {f"{rate:g}": rate for rate in sorted(asked.bit_rates)}
        return [
            replace(model, name=f"{name}-{text}", goal=Goal(bit_rate=rate, effort=effort))
            for text, rate in rates.items()
        ]
    counts = {codec.codebooks_for(codebooks=None, bit_rate=rate) for rate in asked.bit_rates}
    if not counts:
        return [replace(model, codebooks=codec.codebooks_for(codebooks=None, bit_rate=None))]
    return [
        replace(model, name=f"{name}-{codec.header.bit_rate(count):g}", codebooks=count) for count in sorted(counts)
    ]


def _beyond(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each system that could not have its bit rate, with an example."""
    noted: dict[str, list[str]] = {}
    for row in rows:
        if "note" in row:
            noted.setdefault(row["system"], []).append(row["note"])
    return [f"{name}: {len(notes)} files, for example: {notes[0]}" for name, notes in noted.items()]


def _failures(errors: tuple[str, ...]) -> tuple[str, ...]:
    if not errors:
        return ()
    shown = "; ".join(errors[:3]) + ("; ..." if len(errors) > 3 else "")
    return (f"{len(errors)} could not be coded and are in no mean: {shown}",)
