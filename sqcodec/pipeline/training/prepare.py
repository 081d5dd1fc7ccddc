"""The verb `prep`: from a corpus on disk to a feature store."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sqcodec.corpus import store
from sqcodec.corpus.splits import Manifest, Utterance
from sqcodec.corpus.store import Report
from sqcodec.errors import AudioError, CorpusError
from sqcodec.locking import alone
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.parallel import in_parallel
from sqcodec.pipeline.training.corpora import Progress, download_corpus, scan
from sqcodec.pipeline.training.shards import SILENCE, UTTERANCES_A_SHARD, ShardTask, make_shard, shortest
from sqcodec.recipe import CodecRecipe, Recipe, find_recipe, load_recipe
from sqcodec.spectrogram import FeatureConfig
from sqcodec.stamps import stamp_of

SHARDS_A_PROCESS = 4  # a new process imports torch, which takes as long as some shards


def _silently(what: str, done: int, total: int) -> None:
    """Report no progress."""


class SplitSummary(NamedTuple):
    """One split of a finished store. hours: of speech."""

    name: str
    utterances: int
    speakers: int
    hours: float


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The store, and whether the recipe has a codec. fresh: this call made it; replaced: in place of another."""

    folder: Path
    recipe_name: str
    has_codec: bool
    splits: tuple[SplitSummary, ...]
    reports: tuple[Report, ...]
    remarks: tuple[str, ...]
    fresh: bool
    replaced: bool


def prepare(
    recipe_name: str,
    *,
    data: Path | None = None,
    list_file: Path | None = None,
    out: Path | None = None,
    overrides: tuple[str, ...] = (),
    jobs: int = 1,
    backend: str = "local",
    device: str = "cpu",
    strict: bool = False,
    fetch: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Make the feature store of a recipe's corpus in `out` (`data/<recipe name>`), or find it complete.

    data: the corpus's folder; list_file: a list instead of a folder; fetch: download the corpus into `data` first.
    jobs: processes at most; few recordings are not worth as many. backend: where they run, see `in_parallel`.
    Recordings that cannot be used are reported and left out; with strict the first one raises.
    Raises RecipeError: a wrong recipe. CorpusError: no corpus, a wrong list, or a needed split is empty.
    AudioError: strict, and a recording has something to report.
    """
    recipe, path, progress = load_recipe(recipe_name, overrides), find_recipe(recipe_name), progress or _silently
    remarks = download_corpus(recipe, data, progress) if fetch else ()
    manifest = scan(recipe, path.parent, data=data, list_file=list_file)
    out = out or Path("data") / recipe.name
    features = recipe.features.configuration
    digest = _digest(manifest, features)
    with alone(out, error=CorpusError):
        former = store.store_digest(out)
        fresh = former != digest and (former is None or former != _digest(manifest, features, with_paths=True))
        if fresh:
            device = str(find_device(device))
            _require(recipe, manifest, Counter(utterance.split for utterance in manifest.utterances))
            _build(
                recipe,
                manifest,
                out,
                digest,
                jobs=jobs,
                backend=backend,
                device=device,
                strict=strict,
                progress=progress,
            )
        shutil.rmtree(store.partial_folder(out), ignore_errors=True)  # left by an interruption just before the end
        store.record_section(out, recipe.corpus.model_dump(mode="json"))
        reports = store.read_reports(out)
    if strict:
        _stop_at(reports)
    return Prepared(
        folder=out, recipe_name=recipe.name, has_codec=isinstance(recipe, CodecRecipe),
        splits=_summaries(out), reports=tuple(reports), fresh=fresh, replaced=fresh and former is not None,
        remarks=(*remarks, *manifest.remarks, *_unheard(recipe, manifest), *_empty(manifest)),
    )  # fmt: skip


def _digest(manifest: Manifest, config: FeatureConfig, *, with_paths: bool = False) -> str:
    """Changes with a recording, its split, how a copy is varied, and the features; not with where the corpus lies.

    with_paths: as releases up to 0.1.0 made it, from the paths of recordings as they were given, too.
    """
    rows = []
    for each in manifest.utterances:
        path = [str(each.path)] if with_paths else []
        changes = _changes(each, with_paths=with_paths)
        rows.append((each.name, *path, each.speaker, each.split, *(stamp_of(each.path) or ()), *changes))
    tree = [
        store.FORMAT,
        config.as_dict(),
        shortest(config),
        SILENCE,
        rows,
        manifest.left_out,
        sorted(manifest.usual_rates),
    ]
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()


def _changes(utterance: Utterance, *, with_paths: bool) -> tuple[Any, ...]:
    """Of a copy: how it is varied, with the stamps of its noise and room."""
    if (variation := utterance.variation) is None:
        return ()
    sounds = [Path(sound) for sound in (variation.noise, variation.room) if sound]
    if not with_paths:
        noise, room = (sound and Path(sound).name for sound in (variation.noise, variation.room))
        variation = variation._replace(noise=noise, room=room)
    return (*variation, *(value for sound in sounds for value in stamp_of(sound) or ()))


def _require(recipe: Recipe, manifest: Manifest, counts: Counter[str]) -> None:
    for split in ("train", recipe.evaluate_split):
        if not counts[split]:
            source = manifest.sources.get(split)
            listed = f"none that {source} lists can be used" if source else f"no such split in recipe {recipe.name}"
            raise CorpusError(
                f"split {split!r} is empty: {listed}; training needs it, get the audio or change the split"
            )


def _unheard(recipe: Recipe, manifest: Manifest) -> list[str]:
    """A remark if the evaluation split has speakers without a training recording."""
    speakers: dict[str, set[str]] = {}
    for utterance in manifest.utterances:
        speakers.setdefault(utterance.split, set()).add(utterance.speaker)
    split = recipe.evaluate_split
    unheard = sorted(speakers.get(split, set()) - speakers.get("train", set()))
    some = ", ".join(unheard[:3]) + (", ..." if len(unheard) > 3 else "")
    return [f"{split}: {len(unheard)} speaker(s) have no training recordings here ({some})"] if unheard else []


def _empty(manifest: Manifest) -> list[str]:
    counts = Counter(utterance.split for utterance in manifest.utterances)
    return [f"{split}: empty, left out of the store" for split in manifest.sources if not counts[split]]


def _build(
    recipe: Recipe,
    manifest: Manifest,
    out: Path,
    digest: str,
    *,
    jobs: int,
    backend: str,
    device: str,
    strict: bool,
    progress: Progress,
) -> None:
    config = recipe.features.configuration
    tasks = _tasks(
        manifest, _resume(out, digest), config, device, threads=1 if jobs > 1 or backend != "local" else None
    )
    reports = [Report(*note, skipped=True) for note in manifest.left_out]
    progress("features", 0, len(manifest.utterances))
    for done, found in _run(tasks, jobs, backend):
        progress("features", done, len(manifest.utterances))
        if strict:
            _stop_at(found)
        reports += found
    shards: dict[str, list[Path]] = {}
    for task in tasks:
        shards.setdefault(task.utterances[0].split, []).append(task.shard)
    _require(recipe, manifest, Counter({split: sum(map(store.shard_counts, of)) for split, of in shards.items()}))
    reports.sort(key=lambda report: (report.reason, report.name))
    store.assemble(
        out,
        shards,
        config=config,
        digest=digest,
        section=recipe.corpus.model_dump(mode="json"),
        reports=reports,
        report_text=_report_text(reports),
    )


def _resume(out: Path, digest: str) -> Path:
    """The folder of the shards. Those of an interrupted run are kept if the corpus is the same."""
    partial = store.partial_folder(out)
    stamp = partial / "digest"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        stamp.write_text(digest, encoding="utf-8")
    return partial / "shards"


def _tasks(
    manifest: Manifest, shards: Path, config: FeatureConfig, device: str, threads: int | None
) -> list[ShardTask]:
    tasks = []
    for split in sorted({utterance.split for utterance in manifest.utterances}):
        own = [utterance for utterance in manifest.utterances if utterance.split == split]
        for number, first in enumerate(range(0, len(own), UTTERANCES_A_SHARD)):
            shard = shards.absolute() / split / f"{number:05d}"  # a worker may have another working folder
            chosen = tuple(replace(each, path=each.path.absolute()) for each in own[first : first + UTTERANCES_A_SHARD])
            tasks.append(ShardTask(shard, chosen, config, manifest.usual_rates, device, threads))
    return tasks


def _run(tasks: list[ShardTask], jobs: int, backend: str) -> Iterator[tuple[int, list[Report]]]:
    """Make the missing shards. Yields the number of utterances done and the reports of a shard."""
    done = 0
    for task in (made := [task for task in tasks if task.shard.is_dir()]):
        done += len(task.utterances)
        yield done, store.read_reports(task.shard)
    missing = [task for task in tasks if task not in made]
    worth = max(1, min(jobs, len(missing) // SHARDS_A_PROCESS))
    for count, reports in in_parallel(make_shard, missing, jobs=worth, backend=backend):
        done += count
        yield done, reports


def _stop_at(reports: list[Report]) -> None:
    for report in reports:
        raise AudioError(f"{report.name}: {report.reason}: {report.detail}; without `strict` the rest goes on")


def count_reasons(reports: tuple[Report, ...] | list[Report]) -> list[str]:
    """One line per reason: `skipped, broken: 2`."""
    counts = Counter((not report.skipped, report.reason) for report in reports)
    return [f"{'kept' if kept else 'skipped'}, {reason}: {count}" for (kept, reason), count in sorted(counts.items())]


def _report_text(reports: list[Report]) -> str:
    lines = [
        f"{'skipped' if report.skipped else 'kept'}\t{report.name}\t{report.reason}\t{report.detail}"
        for report in reports
    ]
    return "".join(f"{line}\n" for line in [*count_reasons(reports), "", *lines])


def _summaries(out: Path) -> tuple[SplitSummary, ...]:
    opened = store.open_store(out)
    return tuple(
        SplitSummary(
            name=name,
            utterances=len(split.rows),
            speakers=len({row.speaker for row in split.rows}),
            hours=len(split.audio) / opened.features.sample_rate / 3600,
        )
        for name, split in opened.splits.items()
    )
