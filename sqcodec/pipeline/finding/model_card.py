"""The model card beside a model file: Markdown that may begin with `key: value` lines between two lines `---`."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

CARD = "README.md"
_FENCE = "---\n"
_NO_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # of YAML 1.1


def card_of(model: Path) -> str:
    """The card without its metadata; "" if there is none."""
    return _parts(model)[1]


def metadata_of(model: Path) -> dict[str, str]:
    """The metadata of the card that are a word or a line, such as `license`; empty if there are none."""
    pairs = [line.partition(": ") for line in _parts(model)[0].splitlines()]
    return {key: value.strip().strip("\"'") for key, colon, value in pairs if colon and not key.startswith((" ", "-"))}


def metadata_text(model: Path) -> str:
    """The metadata of the card as they are written; "" if there are none."""
    return _parts(model)[0]


def with_metadata(text: str, values: Mapping[str, str | Sequence[str]]) -> str:
    """Metadata with these values in place of their own, or added; the other lines stay."""
    for key, value in values.items():
        line = f"{key}: {value if isinstance(value, str) and _is_plain(value) else json.dumps(value)}\n"
        own = re.compile(rf"^{re.escape(key)}:.*\n(?:[ -].*\n)*", re.M)
        found = own.search(text)
        text = text[: found.start()] + line + text[found.end() :] if found else text + line
    return text


def _is_plain(value: str) -> bool:
    """Whether YAML surely reads the words as they are: `no` is false there, and a colon begins a mapping."""
    return re.fullmatch(r"[A-Za-z][\w ./+-]*", value, re.A) is not None and value.lower() not in _NO_WORDS


def licence_of(model: Path) -> str | None:
    """The licence that the card names; None: it names none."""
    return metadata_of(model).get("license")


def _parts(model: Path) -> tuple[str, str]:
    path = model.with_name(CARD)
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    if not text.startswith(_FENCE) or _FENCE not in text[len(_FENCE) :]:
        return "", text
    metadata, _, card = text[len(_FENCE) :].partition(_FENCE)
    return metadata, card.lstrip("\n")
