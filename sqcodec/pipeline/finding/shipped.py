"""The verb `models`: what ships with this version, read from the files without their weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqcodec.errors import ModelError
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.finding.models import SHIPPED

_CARD = "README.md"


@dataclass(frozen=True, kw_only=True)
class ShippedModel:
    """size: bytes of all its files; bit_rates: nominal bit/s with 1, 2, ... codebooks; default: of these, what `encode`
    takes; lookahead: ms of encoder and decoder together, None where they see the whole recording; card: its model card
    in Markdown."""

    name: str
    path: Path
    size: int
    fingerprint: str
    step: int
    features: str
    bit_rates: tuple[int, ...]
    default: float
    lookahead: float | None
    card: str


def shipped_models() -> Iterator[ShippedModel]:
    """Every codec under `models/` of the package, by name. Raises ModelError: a file is damaged."""
    for path in sorted(SHIPPED.glob("*/model.safetensors")):
        yield _described(path)


def shipped_model(name: str) -> ShippedModel:
    """One of them. Raises ModelError: none of that name; the text lists what there is."""
    found = {model.name: model for model in shipped_models()}
    if name not in found:
        raise ModelError(f"model {name!r}: none of that name ships; there are: {', '.join(found) or 'none'}")
    return found[name]


def _described(path: Path) -> ShippedModel:
    header, card = read_header(path), path.with_name(_CARD)
    return ShippedModel(
        name=path.parent.name,
        path=path,
        size=sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file()),
        fingerprint=header.fingerprint,
        step=header.step,
        features=header.features.kind,
        bit_rates=header.bit_rates,
        default=header.default_bit_rate,
        lookahead=header.lookahead,
        card=card.read_text("utf-8") if card.is_file() else "",
    )
