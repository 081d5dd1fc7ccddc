"""Find a model file: by name, path or environment to encode, by fingerprint to decode."""

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
    """A model file, and a note for the user on how it was chosen ("": none)."""

    path: Path
    note: str


def resolve(model: str | Path) -> Path:
    """The model file of a path, a run folder, the name of a run under runs/, or the name of a model that ships.

    Raises ModelError: there is none; the text lists the paths that were tried.
    """
    path = Path(model)
    paths = [path, path / _FILE, RUNS / path / _FILE, SHIPPED / path / _FILE]
    for candidate in paths:
        if candidate.is_file():
            return candidate
    tried = ", ".join(str(candidate) for candidate in paths[1:])
    raise ModelError(
        f"model {str(model)!r}: no such file, and none at {tried}; give a model.safetensors or a run folder"
    )


def find_for_encoding(model: str | Path | None) -> FoundModel:
    """The model `model`, else that of SQCODEC_MODEL, else what ships, else the newest run (with a note).

    Raises ModelError: there is none.
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
    """The model that wrote the codes: `model`, or a search for the fingerprint in runs/ and in what ships.

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
        f"no model of fingerprint {fingerprint}, which the codes were written with: searched {_environment_text()},"
        f" under {RUNS.resolve()} and what ships; name it with `model`, or copy its run folder to {RUNS}/"
    )


def _like(fingerprint: str, header: ModelHeader) -> list[str]:
    """The identities of the model that are as long as `fingerprint`: of the same kind of codes file."""
    return [name for name in names_of(header) if len(name) == len(fingerprint)]


def _candidates() -> Iterator[ModelHeader]:
    """Headers of all models that a search covers. Files that are no models of sqcodec are skipped."""
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
