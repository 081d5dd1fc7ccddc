"""The page to read and to listen to: one self-contained HTML file."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sqcodec.report.spectrogram_image import RANGE, TOP_FREQUENCY, levels, picture
from sqcodec.report.table import Column, Figure, number


class SystemRow(NamedTuple):
    """A row of the table."""

    name: str
    cells: dict[str, Figure]


class Sound(NamedTuple):
    """What a system made of an utterance: a FLAC at 16 kHz, aligned with the reference, and its scores."""

    system: str
    path: Path
    scores: dict[str, float]


class Utterance(NamedTuple):
    """A recording and what the systems made of it; the first sound is the reference. credit: whom to name, or ""."""

    name: str
    sounds: Sequence[Sound]
    credit: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The content of the page."""

    title: str
    columns: Sequence[Column]
    systems: Sequence[SystemRow]
    utterances: Sequence[Utterance]
    notes: Sequence[str]


def render(page: Page) -> str:
    """The page as HTML: style, script, sounds and pictures inside; it loads nothing, from disk or network."""
    pages = Environment(
        loader=PackageLoader("sqcodec.report", "assets"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pages.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return pages.get_template("page.html").render(
        page=page,
        number=number,
        data=_data(page),
        style=_asset("page.css"),
        scripts=[_asset(name) for name in ("table.js", "player.js", "listen.js", "blind.js")],
    )


def _asset(name: str) -> Markup:
    """A file of the package, not escaped."""
    return Markup(files("sqcodec.report").joinpath("assets", name).read_text(encoding="utf-8"))


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
    pictures = [levels(soundfile.read(os.fsencode(sound.path), dtype="float32")[0]) for sound in utterance.sounds]
    top = float(pictures[0].max())
    return {
        "name": utterance.name,
        "credit": utterance.credit,
        "seconds": soundfile.info(os.fsencode(utterance.sounds[0].path)).duration,
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
