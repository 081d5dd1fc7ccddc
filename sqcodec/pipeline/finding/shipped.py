"""The function behind `sqcodec models`: what ships and what was trained here, read without the weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqcodec.errors import ModelError
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.finding.model_card import card_of
from sqcodec.pipeline.finding.models import (
    SHIPPED,
    FoundModel,
    find_for_encoding,
    model_name,
    resolve,
    trained_models,
    unfit,
)


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """A model that ships with sqcodec, or that was trained in this folder.

    name: what to give as `model`; size: bytes of the file, and of all that ships with it. bit_rates: nominal bit/s with
    1, 2, ... codebooks; true_rates: whether a `.sqc` may also have any rate up to about the last of these. default: the
    one of these that `encode` uses. lookahead: ms of encoder and decoder together; None: they see the whole recording.
    card: the model card in Markdown.
    """

    name: str
    path: Path
    size: int
    fingerprint: str
    step: int
    features: str
    bit_rates: tuple[int, ...]
    true_rates: bool
    default: float
    lookahead: float | None
    card: str


def shipped_models() -> Iterator[ModelSummary]:
    """All codecs under `models/` of the package, sorted by name. Raises ModelError: a file is damaged."""
    for path in sorted(SHIPPED.glob("*/model.safetensors")):
        yield _describe(path)


def named_model(name: str) -> ModelSummary:
    """The model of this name or path. Raises ModelError: no such model ships or was trained; the text lists those that
    ship."""
    models = {model.name: model for model in shipped_models()}
    if name in models:
        return models[name]
    try:
        path = resolve(name)
    except ModelError:
        raise ModelError(
            f"model {name!r}: no model of this name ships; expected one of: {', '.join(models) or 'none'}"
        ) from None
    return _describe(path)


def named_card(name: str) -> str:
    """The model card of a model. Raises ModelError: no such model, or it has none."""
    if card := named_model(name).card:
        return card
    raise ModelError(f"model {name!r}: was trained here and has no model card; `complexity` says what it costs")


def usable_models() -> list[ModelSummary]:
    """Every model that `encode` could use here: what ships, then those trained here, newest first, if fit."""
    return [*shipped_models(), *(_describe(path) for path in trained_models() if not unfit(path))]


def default_model() -> FoundModel | None:
    """The model that `encode` uses here when none is named; None: there is none."""
    try:
        return find_for_encoding(None)
    except ModelError:
        return None


def _describe(path: Path) -> ModelSummary:
    header = read_header(path)
    files = path.parent.rglob("*") if path.is_relative_to(SHIPPED) else (path,)
    return ModelSummary(
        name=model_name(path),
        path=path,
        size=sum(file.stat().st_size for file in files if file.is_file()),
        fingerprint=header.fingerprint,
        step=header.step,
        features=header.features.kind,
        bit_rates=header.bit_rates,
        true_rates=header.context is not None,
        default=header.default_bit_rate,
        lookahead=header.lookahead,
        card=card_of(path),
    )
