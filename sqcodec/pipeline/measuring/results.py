"""From rows to results: means and rates of each system, written as JSON, Markdown and a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sqcodec.bitstream import sqc
from sqcodec.metrics.bootstrap import Mean, bootstrap_mean
from sqcodec.metrics.codebook_usage import codewords_in_use, perplexity
from sqcodec.metrics.rate import Rates, rates, stage
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.pipeline.measuring.codecs import CodecUnderTest, ModelUnderTest
from sqcodec.pipeline.measuring.rate_curves import Curves, add_
from sqcodec.pipeline.measuring.scoring import COLUMNS, Settings, columns_of
from sqcodec.report import page
from sqcodec.report.table import Column, Figure, figure_text, markdown, number
from sqcodec.storage import write_json, write_text

REFERENCE = "reference"
_WEIGHTS = {
    "bit_rate": "seconds",
    "db2": "values",
    "wer": "words",
}  # these are ratios of sums, every other figure a mean over files


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """The figures of one codec by column; for a model, rates of its codes and the use of each codebook."""

    name: str
    family: str
    cells: dict[str, Figure]
    rates: Rates | None
    codewords: tuple[int, ...]
    in_use: tuple[int, ...]
    perplexity: tuple[float, ...]


def codes_file(out: Path, system: str, name: str) -> Path:
    """Where `evaluate` keeps the codes of a file."""
    return out / "codes" / system / f"{name}.sqc"


def sound_file(out: Path, system: str, name: str) -> Path:
    """Where `evaluate` keeps what the page plays."""
    return out / "sounds" / system / f"{name}.flac"


def summarise(systems: Sequence[CodecUnderTest], rows: Sequence[dict[str, Any]], out: Path) -> list[SystemResult]:
    """The figures of each codec from its rows."""
    summaries = []
    for system in systems:
        own = [row for row in rows if row["system"] == system.name and "error" not in row]
        cells = {key: cell for key in COLUMNS if (cell := _cell(own, key)) is not None}
        is_model = isinstance(system, ModelUnderTest)
        summaries.append(_with_rates(system, cells, own, out) if is_model and own else _plain(system, cells))
    return summaries


def _cell(rows: Sequence[dict[str, Any]], key: str) -> Figure | None:
    having = [row for row in rows if key in row["scores"]]
    failed = sum(key in row["failed"] for row in rows)
    if not having and not failed:
        return None
    weights = [row[_WEIGHTS[key]] for row in having] if key in _WEIGHTS else None
    mean: Mean = bootstrap_mean([row["scores"][key] for row in having], weights=weights)
    return Figure(*mean, failed=failed)


def _plain(system: CodecUnderTest, cells: dict[str, Figure]) -> SystemResult:
    return SystemResult(
        name=system.name, family=system.family, cells=cells, rates=None, codewords=(), in_use=(), perplexity=()
    )


def _with_rates(
    system: CodecUnderTest, cells: dict[str, Figure], rows: Sequence[dict[str, Any]], out: Path
) -> SystemResult:
    assert isinstance(system, ModelUnderTest)
    space = read_space(system.path)
    paths = [codes_file(out, system.name, row["file"]) for row in rows]
    used = [sqc.unpack(path.read_bytes(), space, where=str(path)).used for path in paths]
    codewords = space.codewords[: max(map(len, used))]
    counted = rates(
        used,
        codewords=codewords,
        sizes=[path.stat().st_size for path in paths],
        seconds=sum(row["seconds"] for row in rows),
    )
    counts = [
        torch.from_numpy(np.bincount(np.concatenate(stage(used, codebook)), minlength=size))
        for codebook, size in enumerate(codewords)
    ]
    return SystemResult(
        name=system.name, family=system.family, cells=cells, rates=counted, codewords=codewords,
        in_use=tuple(map(codewords_in_use, counts)), perplexity=tuple(map(perplexity, counts)),
    )  # fmt: skip


def curves(summaries: Sequence[SystemResult]) -> Curves:
    """Rate and quality of each system, by family."""
    found = Curves()
    for summary in summaries:
        add_(found, summary.family, {key: cell.mean for key, cell in summary.cells.items()})
    return found


def write(
    out: Path,
    summaries: Sequence[SystemResult],
    rows: Sequence[dict[str, Any]],
    *,
    about: dict[str, Any],
    settings: Settings,
    listened: dict[str, str],
    notes: Sequence[str],
) -> str:
    """Write scores.json, scores.md and index.html into `out`; returns the Markdown table.

    listened: the recordings of the page, each with whom to name for it.
    """
    columns = [
        column for key, column in columns_of(settings).items() if any(key in summary.cells for summary in summaries)
    ]
    table = _table(summaries, columns)
    write_json(out / "scores.json", _tree(summaries, about, notes))
    write_text(out / "scores.md", _document(table, summaries, about, notes))
    listening = page.Page(
        title=f"{about['fingerprint']} on {about['files']} files",
        columns=columns,
        systems=[page.SystemRow(summary.name, summary.cells) for summary in summaries],
        utterances=_utterances(out, rows, listened),
        notes=[*_about_lines(about), *_rate_lines(summaries), *notes],
    )
    write_text(out / "index.html", page.render(listening))
    return table


def write_scp(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write `sounds/NAME/wav.scp` for each codec and the reference: a line an utterance that all of them have, its name
    and the path of its sound, as Kaldi and VERSA read them. White space in a name becomes `_`; one more follows where
    another one has that name.
    """
    failed = {row["file"] for row in rows if "error" in row}
    names = sorted({row["file"] for row in rows} - failed)
    listed: dict[str, str] = {}
    for name in names:
        word = "_".join(name.split())
        while word in listed:  # "a b" beside "a_b"
            word += "_"
        listed[word] = name
    for system in (REFERENCE, *sorted({row["system"] for row in rows})):
        lines = [f"{word} {sound_file(out, system, name).absolute()}\n" for word, name in listed.items()]
        write_text(out / "sounds" / system / "wav.scp", "".join(lines))


def _utterances(out: Path, rows: Sequence[dict[str, Any]], listened: dict[str, str]) -> list[page.Utterance]:
    """The utterances of the page; a codec that failed on a file has no sound there."""
    utterances = []
    for name, credit in listened.items():
        own = [row for row in rows if row["file"] == name and "error" not in row]
        if own:
            sounds = [page.Sound(row["system"], sound_file(out, row["system"], name), row["scores"]) for row in own]
            utterances.append(
                page.Utterance(name, [page.Sound(REFERENCE, sound_file(out, REFERENCE, name), {}), *sounds], credit)
            )
    return utterances


def _table(summaries: Sequence[SystemResult], columns: Sequence[Column]) -> str:
    rows = [["", *(column.heading for column in columns)]]
    for summary in summaries:
        cells = [summary.cells.get(column.key) for column in columns]
        shown = [figure_text(cell, column) if cell else "–" for cell, column in zip(cells, columns, strict=True)]
        rows.append([summary.name, *shown])
    return markdown([list(row) for row in zip(*rows, strict=True)])  # many figures, few systems: a line a figure


def _tree(summaries: Sequence[SystemResult], about: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    systems: dict[str, dict[str, Any]] = {}
    for summary in summaries:
        systems[summary.name] = {
            "family": summary.family,
            "scores": {key: {**cell._asdict(), "unit": COLUMNS[key].unit} for key, cell in summary.cells.items()},
        }
        if summary.rates is not None:
            systems[summary.name] |= {
                "rates": summary.rates._asdict(),
                "codewords": {"all": summary.codewords, "in_use": summary.in_use, "perplexity": summary.perplexity},
            }
    return {**about, "systems": systems, "notes": list(notes)}


def _document(table: str, summaries: Sequence[SystemResult], about: dict[str, Any], notes: Sequence[str]) -> str:
    lines = [
        "# Evaluation",
        "",
        *_about_lines(about),
        "",
        "Mean [95 % interval by bootstrap over files].",
        "",
        table,
        "",
    ]
    lines += [*_rate_lines(summaries), ""]
    return "\n".join([*lines, *(f"- {note}" for note in notes)]).rstrip() + "\n"


def _about_lines(about: dict[str, Any]) -> list[str]:
    settings = about["settings"]
    delay = "delays removed" if settings["align"] else "delays not removed"
    return [
        f"{about['files']} files of {about['data']}; model {about['model']} ({about['fingerprint']}), vocoder"
        f" {about['vocoder']}; MCD after {settings['mcd']}; {delay}; sqcodec {about['sqcodec']}."
    ]


def _rate_lines(summaries: Sequence[SystemResult]) -> list[str]:
    return [_rate_line(summary, summary.rates) for summary in summaries if summary.rates is not None]


def _rate_line(summary: SystemResult, rated: Rates) -> str:
    nominal, unigram, conditional, on_disk = (number(rate, 1) for rate in rated[:4])
    use = "; ".join(
        f"{used} of {size} codewords in use, perplexity {number(evenness, 1)}"
        for used, size, evenness in zip(summary.in_use, summary.codewords, summary.perplexity, strict=True)
    )
    return (
        f"{summary.name}: {rated.codes} codes in {rated.seconds:.1f} s: nominal {nominal} bit/s, by unigram entropy"
        f" {unigram}, by entropy given the code before {conditional} (too low with so few codes), .sqc files on disk"
        f" {on_disk}; {use}."
    )
