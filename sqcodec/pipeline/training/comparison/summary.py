"""The table of a comparison: a row per system (and swept value), mean and standard deviation over seeds."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqcodec.pipeline.training.comparison.plan import Cell
from sqcodec.report import table

FIGURES = ("test_mse", "test_perplexity", "test_codewords", "test_accuracy", "posterior_entropy", "log_var")


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished cell: its last figures and its whole log."""

    cell: Cell
    figures: dict[str, Any]
    log: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """figures: name -> (mean, standard deviation over seeds, None for one seed); published: of the paper, in dB^2."""

    system: str
    sweep: tuple[str, float | str] | None
    seeds: tuple[int, ...]
    steps: int
    figures: dict[str, tuple[float, float | None]]
    published: tuple[float, float] | None


def rows_of(results: Sequence[Result], published: dict[str, list[float]]) -> list[Row]:
    """One row per group of cells that differ in the seed alone, in their order."""
    groups: dict[tuple[str, tuple[str, float | str] | None], list[Result]] = {}
    for result in results:
        groups.setdefault((result.cell.system, result.cell.sweep), []).append(result)
    return [_row(system, sweep, group, published) for (system, sweep), group in groups.items()]


def _row(
    system: str, sweep: tuple[str, float | str] | None, group: list[Result], published: dict[str, list[float]]
) -> Row:
    values = [_figures(result) for result in group]
    names = [name for name in values[0] if all(name in value for value in values)]
    mark = published.get(system)
    return Row(
        system=system,
        sweep=sweep,
        seeds=tuple(result.cell.seed for result in group),
        steps=group[0].cell.recipe.train.steps,
        figures={name: _spread([value[name] for value in values]) for name in names},
        published=(mark[0], mark[1]) if mark else None,
    )


def _figures(result: Result) -> dict[str, float]:
    """The figures of the last log entry, and the terms of the bound in bits per second."""
    figures = {name: float(result.figures[name]) for name in FIGURES if name in result.figures}
    return figures | {"bound": float(result.figures["bound"]["bits_per_second"])}


def _spread(values: list[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def markdown(rows: Sequence[Row], results: Sequence[Result], failed: Sequence[str], command: str) -> str:
    """The table in Markdown, and below it how it was made."""
    swept = any(row.sweep for row in rows)
    marked = any(row.published for row in rows)
    classes = any("test_accuracy" in row.figures for row in rows)
    titles = ["system", *(["swept"] if swept else []), "MSE, dB^2", *(["the paper"] if marked else [])]
    titles += [*(["accuracy, %"] if classes else []), "perplexity", "codewords in use"]
    titles += ["posterior entropy, nats", "log variance", "bound, bit/s", "seeds"]
    lines = [titles]
    for row in rows:
        cells = [row.system, *([_swept(row)] if swept else []), _show(row, "test_mse", 2)]
        cells += [_mark(row)] if marked else []
        cells += [_show(row, "test_accuracy", 1, 100)] if classes else []
        cells += [_show(row, "test_perplexity", 1), _show(row, "test_codewords", 0)]
        cells += [_show(row, "posterior_entropy", 2), _show(row, "log_var", 2), _show(row, "bound", 0)]
        lines.append([*cells, ", ".join(map(str, row.seeds))])
    return "\n".join([table.markdown(lines), "", *_notes(rows, results, failed, command)]) + "\n"


def _notes(rows: Sequence[Row], results: Sequence[Result], failed: Sequence[str], command: str) -> list[str]:
    first = results[0]
    steps = sorted({row.steps for row in rows})
    notes = [
        f"Mean and standard deviation over seeds after {', '.join(map(str, steps))} steps;"
        f" {first.figures['test_utterances']} utterances scored, {first.figures['test_left_out']} left out. Hard codes."
        " The bound of a decoder over classes is not comparable with that of one over values, nor vmf's with nc's.",
        f"Made by: `{command}`",
    ]
    sizes = {result.cell.system: size for result in results if (size := result.cell.recipe.quantizer.codewords)}
    if len(set(sizes.values())) > 1 and not any(row.sweep for row in rows):
        listed = ", ".join(f"{size} of {system}" for system, size in sizes.items())
        notes.insert(1, f"The codebooks differ: codewords {listed}.")
    if any(row.published for row in rows):
        notes.insert(1, "The paper's figures (Takida et al., 2022, Table 3) are of 500,000 steps and its own split.")
    return [*notes, *(f"Failed: {text}" for text in failed)]


def _swept(row: Row) -> str:
    return f"{row.sweep[0]} = {_plain(row.sweep[1])}" if row.sweep else ""


def _plain(value: float | str) -> str:
    return f"{value:.15g}" if isinstance(value, float) else value


def _show(row: Row, name: str, digits: int, scale: float = 1.0) -> str:
    if name not in row.figures:
        return table.number(None, digits)
    mean, std = row.figures[name]
    spread = "" if std is None else f" ± {std * scale:.{digits}f}"
    return f"{mean * scale:.{digits}f}{spread}"


def _mark(row: Row) -> str:
    return f"{row.published[0]:.2f} ± {row.published[1]:.2f}" if row.published else table.number(None, 2)


def table_json(rows: Sequence[Row], results: Sequence[Result], failed: Sequence[str], command: str) -> dict[str, Any]:
    """The table as JSON, with the figures and the recipe of every cell."""
    return {
        "command": command,
        "rows": [asdict(row) for row in rows],
        "cells": [
            {
                "system": result.cell.system,
                "seed": result.cell.seed,
                "sweep": result.cell.sweep,
                "folder": str(result.cell.folder),
                "figures": result.figures,
                "recipe": result.cell.recipe.model_dump(mode="json"),
            }
            for result in results
        ],
        "failed": list(failed),
    }
