"""Which model file: by name, path or environment for encoding, by fingerprint for decoding."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqcodec.errors import ModelError
from sqcodec.model.model_header import ModelHeader, read_header
from sqcodec.pipeline.finding.code_spaces import names_of

ENVIRONMENT = "SQCODEC_MODEL"
RUNS = Path("runs")  # relative to the working folder, where `sqcodec train` writes
SHIPPED = Path(__file__).parents[2] / "models"
_FILE = "model.safetensors"


class FoundModel(NamedTuple):
    """A model file, and what the user should be told about how it was chosen ("" for nothing)."""

    path: Path
    note: str


def resolve(model: str | Path) -> Path:
    """The model file of a path, of a run folder, or of a name under runs/ or among what ships.

    Raises ModelError: there is none; the text lists where was looked.
    """
    path = Path(model)
    places = [path, path / _FILE, RUNS / path / _FILE, SHIPPED / path / _FILE]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places[1:])
    raise ModelError(
        f"model {str(model)!r}: no such file, and none at {looked}; give a model.safetensors or a run folder"
    )


def find_for_encoding(model: str | Path | None) -> FoundModel:
    """The model asked for, or that of SQCODEC_MODEL, or what ships, or the newest run (which the note says).

    Raises ModelError: nothing found.
    """
    named = model or os.environ.get(ENVIRONMENT)
    if named:
        return FoundModel(resolve(named), "")
    shipped = sorted(SHIPPED.glob(f"**/{_FILE}"))
    if shipped:
        return FoundModel(shipped[0], "")
    runs = sorted(RUNS.glob(f"**/{_FILE}"), key=lambda path: path.stat().st_mtime)
    if runs:
        return FoundModel(runs[-1], f"no `model` given: using the newest run, {runs[-1].parent}")
    raise ModelError(
        f"no model: none under {RUNS.resolve()}, {ENVIRONMENT} is not set, and none ships with this version;"
        " 'sqcodec train RECIPE' makes one, or name one with `model`"
    )


def find_for_decoding(fingerprint: str, model: str | Path | None) -> FoundModel:
    """The model that wrote the codes: `model` if given, else the one of this fingerprint, wherever it lies.

    Raises ModelError: `model` has another fingerprint, or no model has this one.
    """
    if model is not None:
        header = read_header(resolve(model))
        if fingerprint not in names_of(header):
            raise ModelError(
                f"{header.path}: fingerprint {' or '.join(_like(fingerprint, header))}, but the codes were written with"
                f" {fingerprint}; leave `model` out to search for it, or name the model that wrote the codes"
            )
        return FoundModel(header.path, "")
    for header in _candidates():
        if fingerprint in names_of(header):
            return FoundModel(header.path, "")
    raise ModelError(
        f"no model of fingerprint {fingerprint}, which the codes were written with: looked at {_environment_text()},"
        f" under {RUNS.resolve()} and at what ships; name it with `model`, or copy its run folder to {RUNS}/"
    )


def _like(fingerprint: str, header: ModelHeader) -> list[str]:
    """The model's names of the same kind as this one."""
    return [name for name in names_of(header) if len(name) == len(fingerprint)]


def _candidates() -> Iterator[ModelHeader]:
    """Headers of what can be found without a name; files that are no models of ours are passed over."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        yield read_header(resolve(named))
    for path in sorted([*RUNS.glob(f"**/{_FILE}"), *SHIPPED.glob(f"**/{_FILE}")]):
        try:
            yield read_header(path)
        except ModelError:
            continue


def _environment_text() -> str:
    named = os.environ.get(ENVIRONMENT)
    return f"{ENVIRONMENT} ({named})" if named else f"{ENVIRONMENT} (not set)"
