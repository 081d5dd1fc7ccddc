"""The page to read and to listen to: one HTML file that needs nothing else, from data given to `render`."""

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

from sqcodec.report.spectrogram_image import RANGE, TOP_FREQUENCY, levels, picture
from sqcodec.report.table import Cell, Column, number


class System(NamedTuple):
    """A line of the table."""

    name: str
    cells: dict[str, Cell]


class Sound(NamedTuple):
    """What a system made of an utterance: a FLAC at 16 kHz, aligned with the reference, and its scores."""

    system: str
    path: Path
    scores: dict[str, float]


class Utterance(NamedTuple):
    """A recording and what the systems made of it; the first sound is the reference."""

    name: str
    sounds: Sequence[Sound]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that is on the page."""

    title: str
    columns: Sequence[Column]
    systems: Sequence[System]
    utterances: Sequence[Utterance]
    notes: Sequence[str]


def render(page: Page) -> str:
    """The page as HTML: style, script, sounds and pictures inside; it loads nothing, from disk or network."""
    parts = {
        "TITLE": html.escape(page.title),
        "STYLE": _asset("page.css"),
        "TABLE": _table(page.columns, page.systems),
        "NOTES": "\n".join(f"<li>{html.escape(note)}</li>" for note in page.notes),
        "DATA": json.dumps(_data(page), ensure_ascii=False).replace("<", "\\u003c"),
        "SCRIPT": "\n".join(_asset(name) for name in ("table.js", "player.js", "listen.js", "blind.js")),
    }
    text = _asset("page.html")
    for name, part in parts.items():
        before, marker, after = text.partition(f"<!--{name}-->")
        assert marker, name
        text = before + part + after
    return text


def _asset(name: str) -> str:
    return files("sqcodec.report").joinpath("assets", name).read_text(encoding="utf-8")


def _table(columns: Sequence[Column], systems: Sequence[System]) -> str:
    heads = "".join(_head(column) for column in columns)
    bodies = []
    for system in systems:
        cells = "".join(_cell(system.cells.get(column.key), column) for column in columns)
        bodies.append(f'<tr><th scope="row">{html.escape(system.name)}</th>{cells}</tr>')
    first = '<th scope="col" aria-sort="none"><button type="button">System</button></th>'
    return "\n".join([f"<thead><tr>{first}{heads}</tr></thead>", "<tbody>", *bodies, "</tbody>"])


def _head(column: Column) -> str:
    better = {"higher": "↑ higher is better", "lower": "↓ lower is better", None: ""}[column.better]
    unit = f" <span class=unit>{html.escape(column.unit)}</span>" if column.unit else ""
    return (
        f'<th scope="col" aria-sort="none" data-better="{column.better or ""}" title="{better}">'
        f'<button type="button">{html.escape(column.title)}{unit}</button></th>'
    )


def _cell(cell: Cell | None, column: Column) -> str:
    if cell is None or (cell.mean is None and not cell.failed):
        return '<td class="none">–</td>'
    failed = f'<span class="failed">{cell.failed} failed</span>' if cell.failed else ""
    if cell.mean is None:
        return f'<td class="none">–{failed}</td>'
    low, high = (number(end, column.decimals) for end in (cell.low, cell.high))
    interval = f'<span class="interval">{low} … {high}</span>'
    return f'<td data-value="{cell.mean!r}">{number(cell.mean, column.decimals)}{interval}{failed}</td>'


def _data(page: Page) -> dict[str, Any]:
    return {
        "title": page.title,
        "range": RANGE,
        "topFrequency": TOP_FREQUENCY,
        "columns": [column._asdict() for column in page.columns],
        "utterances": [_utterance(utterance) for utterance in page.utterances],
    }


def _utterance(utterance: Utterance) -> dict[str, Any]:
    """Sounds and pictures as base64; every picture on the reference's scale."""
    pictures = [levels(soundfile.read(sound.path, dtype="float32")[0]) for sound in utterance.sounds]
    top = float(pictures[0].max())
    return {
        "name": utterance.name,
        "seconds": soundfile.info(utterance.sounds[0].path).duration,
        "sounds": [
            {
                "system": sound.system,
                "scores": sound.scores,
                "flac": base64.b64encode(sound.path.read_bytes()).decode(),
                "png": base64.b64encode(picture(level, top)).decode(),
            }
            for sound, level in zip(utterance.sounds, pictures, strict=True)
        ],
    }
