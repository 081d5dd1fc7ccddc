"""Train the cells, one after another or in parallel. Finished cells are kept, interrupted ones resume."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from sqcodec.corpus.store import open_store
from sqcodec.errors import StoppedError, TrainingError
from sqcodec.file_names import CHECKPOINT
from sqcodec.locking import alone
from sqcodec.pipeline.parallel import in_parallel
from sqcodec.pipeline.training.comparison.charts import draw_comparison
from sqcodec.pipeline.training.comparison.plan import Cell
from sqcodec.pipeline.training.comparison.summary import Result, markdown, rows_of, table_json
from sqcodec.pipeline.training.run_folder import begun_recipe
from sqcodec.pipeline.training.stores import check_corpus
from sqcodec.pipeline.training.train_codec import train
from sqcodec.recipe import CodecRecipe, find_recipe, load_recipe, validate_recipe
from sqcodec.storage import write_json, write_text
from sqcodec.train.log import read_log

ReportLine = Callable[[str], None]
ShowProgress = Callable[[str, int, int], None]  # kind of work, number done, total number


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a comparison wrote to `folder`: its table as text, its pictures, and the cells that did not finish."""

    folder: Path
    table: str
    pictures: tuple[Path, ...]
    failed: tuple[str, ...]


def compare(
    recipe: str,
    cells: Sequence[Cell],
    features: Path,
    folder: Path,
    *,
    device: str,
    jobs: int,
    backend: str,
    command: str,
    report_line: ReportLine,
    progress: ShowProgress | None = None,
) -> Compared:
    """Train and evaluate every cell on the store in `features`; write table.json, table.md and pictures to `folder`.

    A cell with a result is not trained again, one with a checkpoint resumes. jobs, backend: see `in_parallel`;
    parallel trainings report nothing but their number. progress: of the trainings, and of one that runs alone, by name.
    command: the command line, which the table quotes.
    Raises CorpusError: no store; TrainingError: `folder` holds other cells under the same names, another process writes
    to it, or a file cannot be written; StoppedError: asked to stop. A training that diverges is reported and left out
    of the table.
    """
    store, progress = open_store(features), progress or _unseen
    if cells and cells[0].recipe.corpus != load_recipe(recipe).corpus:
        check_corpus(cells[0].recipe, features, ("corpus",))
    watched = jobs == 1 and backend == "local"
    run = partial(
        _run,
        features=features.absolute(),  # a worker may have another working folder
        folder=folder.absolute(),
        device=device,
        digest=store.digest,
        report_line=report_line if watched else _mute,
        progress=progress if watched else _unseen,
    )
    with alone(folder, error=TrainingError):
        for cell in cells:
            _check(cell, folder, store.digest)
        waiting = [cell for cell in cells if not (folder / cell.folder / "result.json").is_file()]
        report_line(f"{len(cells)} cells, {len(cells) - len(waiting)} finished before")
        progress("trainings", 0, len(waiting))
        failures = []
        work = in_parallel(run, waiting, jobs=jobs, backend=backend, saves_itself=True)
        for done, text in enumerate(work, 1):
            failures += [text] if text else []
            progress("trainings", done, len(waiting))
        failed = tuple(sorted(failures))
        results = [result for cell in cells if (result := _result(cell, folder))]
        if not results:
            raise TrainingError(f"{folder}: no cell finished: {'; '.join(failed)}")
        return _write(folder, results, failed, _published(recipe, store.corpus, results), command)


def _mute(_: str) -> None:
    """Discard the progress of parallel trainings."""


def _unseen(_what: str, _done: int, _total: int) -> None:
    """Discard the steps of parallel trainings."""


def _run(
    cell: Cell,
    *,
    features: Path,
    folder: Path,
    device: str,
    digest: str,
    report_line: ReportLine,
    progress: ShowProgress,
) -> str | None:
    """Train one cell. Returns what went wrong, or None."""
    run = folder / cell.folder
    report_line(f"{cell.name}: {cell.recipe.train.steps} steps")
    try:
        train(
            cell.recipe,
            features,
            run,
            device=device,
            resume=(run / CHECKPOINT).is_file(),
            report=lambda entry: _report_test(cell, entry, report_line),
            progress=partial(progress, f"{cell.name}, steps"),
        )
    except StoppedError:
        raise StoppedError(f"stopped in {cell.name}, all saved; the same command goes on from here") from None
    except TrainingError as error:
        if isinstance(error.__cause__, OSError):  # a full disk: the next training would fail, too
            raise
        report_line(f"{cell.name}: {error}")
        return f"{cell.name}: {error}"
    last = read_log(run / "log.jsonl")[-1]
    result = {"store": digest, "recipe": cell.recipe.model_dump(mode="json"), "figures": last}
    write_json(run / "result.json", result)
    return None


def _report_test(cell: Cell, entry: dict[str, Any], report_line: ReportLine) -> None:
    if "test_mse" in entry:
        codes = f", perplexity {entry['test_perplexity']:.1f}" if "test_perplexity" in entry else ""
        report_line(f"{cell.name}: step {entry['step']}: test MSE {entry['test_mse']:.2f}{codes}")


def _check(cell: Cell, folder: Path, digest: str) -> None:
    path = folder / cell.folder / "result.json"
    advice = "than this comparison asks for; choose another `folder`, or remove that one"
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        recipe = validate_recipe(found["recipe"], where=str(path))  # an older one has keys less
        if (recipe, found["store"]) != (cell.recipe, digest):
            raise TrainingError(f"{path.parent}: finished with another recipe or other features {advice}")
    elif begun_recipe(path.parent) not in (cell.recipe, None):
        raise TrainingError(f"{path.parent}: begun with another recipe {advice}")


def _result(cell: Cell, folder: Path) -> Result | None:
    path = folder / cell.folder / "result.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return Result(cell=cell, figures=found["figures"], log=read_log(path.with_name("log.jsonl")))


def _published(recipe: str, corpus: str | None, results: Sequence[Result]) -> dict[str, list[float]]:
    """The paper's figures by system, when the recipe has some, the store holds the recipe's corpus, and the system's
    codebook has the size that they are of."""
    path = find_recipe(recipe).with_name("published.yaml")
    if corpus != path.parent.name or not path.is_file():
        return {}
    published: dict[str, list[float]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    own = load_recipe(recipe).codec
    others = {result.cell.system for result in results if not _are_alike(result.cell.recipe, own)}
    return {system: figures for system, figures in published.items() if system not in others}


def _are_alike(recipe: CodecRecipe, own: CodecRecipe) -> bool:
    sizes = ((getattr(recipe.quantizer, key, 0), getattr(own.quantizer, key, 0)) for key in ("codewords", "dim"))
    return all(size in (0, expected) for size, expected in sizes)  # a plain VAE has no codewords


def _write(
    folder: Path, results: list[Result], failed: tuple[str, ...], published: dict[str, list[float]], command: str
) -> Compared:
    rows = rows_of(results, published)
    text = markdown(rows, results, failed, command)
    write_text(folder / "table.md", text)
    write_json(folder / "table.json", table_json(rows, results, failed, command))
    return Compared(folder=folder, table=text, pictures=draw_comparison(results, rows, folder), failed=failed)
