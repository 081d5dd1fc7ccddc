"""The model card beside a model file: Markdown that may begin with metadata between two lines `---`, in YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

CARD = "README.md"
_FENCE = "---\n"


def card_of(model: Path) -> str:
    """The card without its metadata; "" if there is none."""
    return _parts(model)[1]


def metadata_of(model: Path) -> Mapping[str, Any]:
    """The metadata of the card, such as `license`; empty if there is none."""
    try:
        tree = yaml.safe_load(_parts(model)[0])
    except yaml.YAMLError:
        return {}
    return tree if isinstance(tree, dict) else {}


def licence_of(model: Path) -> str | None:
    """The licence that the card names; None: it names none."""
    licence = metadata_of(model).get("license")
    return None if licence is None else str(licence)


def _parts(model: Path) -> tuple[str, str]:
    path = model.with_name(CARD)
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    if not text.startswith(_FENCE) or _FENCE not in text[len(_FENCE) :]:
        return "", text
    metadata, _, card = text[len(_FENCE) :].partition(_FENCE)
    return metadata, card.lstrip("\n")
