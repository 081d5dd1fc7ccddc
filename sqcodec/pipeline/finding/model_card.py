"""The model card beside a model file: Markdown that may begin with `key: value` lines between two lines `---`."""

from pathlib import Path

CARD = "README.md"
_FENCE = "---\n"


def card_of(model: Path) -> str:
    """The card without its metadata; "" if there is none."""
    return _parts(model)[1]


def metadata_of(model: Path) -> dict[str, str]:
    """The metadata of the card that are a word or a line, such as `license`; empty if there are none."""
    pairs = [line.partition(": ") for line in _parts(model)[0].splitlines()]
    return {key: value.strip().strip("\"'") for key, colon, value in pairs if colon and not key.startswith((" ", "-"))}


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
