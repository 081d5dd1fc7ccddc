"""Find a model file: by name, path or environment to encode, by fingerprint to decode."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqcodec.errors import ModelError
from sqcodec.file_names import CHECKPOINT, MODEL
from sqcodec.model.model_header import ModelHeader, read_header
from sqcodec.pipeline.finding.code_spaces import names_of
from sqcodec.pipeline.finding.older_models import OLDER, checked, older_model, where_to_get

ENVIRONMENT = "SQCODEC_MODEL"
RUNS = Path("runs")  # relative to the working folder, where `sqcodec train` writes
SHIPPED = Path(__file__).parents[2] / "models"
# a version that ships -> its folder; the name without a version is the newest. speech16k-live has the codes of
# speech16k and a receiver that looks less far ahead. Where none is named, the first by name is taken.
VERSIONS = {"speech16k-2": "speech16k", "speech16k-live-2": "speech16k-live"}
_HUB_NAME = re.compile(r"(?:hf:)?(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:@(?P<revision>[\w./-]+))?")


class FoundModel(NamedTuple):
    """A model file, and why it was chosen ("": it was named, or it wrote the codes)."""

    path: Path
    reason: str

    @property
    def note(self) -> str:
        """A line on the choice for the user; "" if there is nothing to say."""
        return f"model {model_name(self.path)}, {self.reason}" if self.reason else ""


def model_name(path: Path) -> str:
    """How texts call a model: speech16k for one that ships, runs/vctk for one in a run folder, else its path."""
    if _ships(path):
        return path.parent.name
    return str(path.parent) if path.name == MODEL else str(path)


def versioned_name(path: Path) -> str:
    """As `model_name`, with the version of one that ships: speech16k-2."""
    name = model_name(path)
    return next((version for version, folder in VERSIONS.items() if _ships(path) and folder == name), name)


def _ships(path: Path) -> bool:
    return path.is_relative_to(SHIPPED)


def resolve(model: str | Path) -> Path:
    """The model file of a path, a run folder, the name of a model that ships, with its version (speech16k-2) or without
    (the newest), or the name of a run under runs/.

    Raises ModelError: there is none; the text lists the paths that were tried.
    """
    if not isinstance(model, str | os.PathLike) or not str(model):
        raise ModelError(f"model {model!r}: expected a path or a name")
    path = Path(model)
    paths = [path, path / MODEL, RUNS / path / MODEL, SHIPPED / VERSIONS.get(str(model), path) / MODEL]
    for candidate in (*paths[:2], paths[3], paths[2]):  # a run of the recipe speech16k does not hide what ships
        if candidate.is_file():
            return _whole(candidate)
    if str(model) in OLDER:
        raise ModelError(f"model {str(model)!r}: {where_to_get(str(model), paths[-1])}")
    names = sorted(found.parent.name for found in SHIPPED.glob(f"*/{MODEL}"))
    ships = f"no such model ships (those that do: {', '.join(names)})" if names else "none ships with this version"
    tried = " or ".join(dict.fromkeys(map(str, paths[1:3])))  # they are one where the path is absolute
    raise ModelError(
        f"model {str(model)!r}: no such file, none at {tried}, and {ships}; give a model.safetensors or a run"
        f" folder{_hub_hint(str(model))}"
    )


def _hub_hint(name: str) -> str:
    """How to fetch a name that may be one on the Hugging Face Hub: OWNER/NAME, or hf:OWNER/NAME@REVISION."""
    found = _HUB_NAME.fullmatch(name)
    if not found or Path(found["owner"]) == RUNS or Path(found["owner"]).exists():
        return ""
    name, revision = (
        f"{found['owner']}/{found['name']}",
        f" --revision {found['revision']}" if found["revision"] else "",
    )
    return f"; 'hf download {name}{revision} --local-dir {name}' fetches it if it is on the Hugging Face Hub"


def find_for_encoding(model: str | Path | None) -> FoundModel:
    """The model `model`, else that of SQCODEC_MODEL, else the newest that was trained here, else what ships.

    Trained here: `runs/NAME/model.safetensors`, finished and with codes. Raises ModelError: there is none.
    """
    if named := _named(model):
        return named
    trained, passed_over = _trained_here()
    shipped = _shipped()
    if trained:
        ships = f"; `model` {shipped.parent.name} is the one that ships" if shipped else ""
        return FoundModel(trained, f"trained here{ships}")
    if shipped:
        return FoundModel(shipped, "; ".join(["which ships", *passed_over]))
    unfit = f" ({passed_over[0]})" if passed_over else ""
    raise ModelError(
        f"no model: none under {RUNS}{unfit}, {ENVIRONMENT} is not set, and none ships with this version;"
        " 'sqcodec train RECIPE' makes one, or name one with `model`"
    )


def find_for_programs(model: str | Path | None) -> FoundModel:
    """As `find_for_encoding`, but what was trained in the working folder counts only if it is named.

    A program must not depend on the folder that it runs in. Raises ModelError: there is none.
    """
    if named := _named(model):
        return named
    if shipped := _shipped():
        return FoundModel(shipped, "which ships")
    raise ModelError(f"no model: none ships with this version, and {ENVIRONMENT} is not set; name one with `model`")


def trained_models() -> Iterator[Path]:
    """The models of the runs under runs/, newest first; those of `compare` and all that lie deeper are left out."""
    yield from sorted(RUNS.glob(f"*/{MODEL}"), key=lambda path: path.stat().st_mtime, reverse=True)


def unfit(path: Path) -> str:
    """Why a model that was trained here is not taken to encode by itself; "" if it is."""
    try:
        header = read_header(path)
    except ModelError:
        return f"{path.parent} holds no model that can be read"
    steps = header.recipe.get("train", {}).get("steps", 0)
    if path.with_name(CHECKPOINT).is_file() and header.step < steps:
        return f"{path.parent} is not finished (step {header.step} of {steps})"
    return "" if header.codewords else f"{path.parent} has no codes (a plain VAE)"


def _named(model: str | Path | None) -> FoundModel | None:
    if model is not None:
        return FoundModel(resolve(model), "")
    named = os.environ.get(ENVIRONMENT)
    return FoundModel(resolve(named), f"named by {ENVIRONMENT}") if named else None


def _trained_here() -> tuple[Path | None, list[str]]:
    """The newest model that was trained here, and why the newer ones are not taken."""
    passed_over: list[str] = []
    for path in trained_models():
        if not (reason := unfit(path)):
            return path, passed_over
        passed_over.append(reason)
    return None, passed_over[:1]


def _shipped() -> Path | None:
    return next(iter(sorted(SHIPPED.glob(f"**/{MODEL}"))), None)


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
            return FoundModel(_whole(header.path), "")
    if older := older_model(fingerprint):
        place = SHIPPED / older / MODEL
        raise ModelError(f"codes of {older}, fingerprint {fingerprint}: {where_to_get(older, place)}")
    raise ModelError(
        f"no model of fingerprint {fingerprint}, which the codes were written with: searched {_environment_text()},"
        f" under {RUNS}/ and what ships; name it with `model`, or copy its run folder to {RUNS}/;"
        " a damaged header names a model that there is not: then copy or encode the file again"
    )


def find_for_message(first: int, model: str | Path | None) -> FoundModel:
    """The model of a message that begins with the byte `first`: `model`, that of SQCODEC_MODEL, or the first that a
    search for the writer of codes finds; else that `encode` would take, which reads no such message.

    Raises ModelError: `model` is none, or there is none at all.
    """
    if named := _named(model):
        return named
    for header in _candidates():
        if header.context is not None and bytes.fromhex(names_of(header)[-1])[0] == first:
            return FoundModel(_whole(header.path), "")
    return find_for_encoding(None)


def _whole(path: Path) -> Path:
    """The path, once the file of an older model has its checksum. Raises ModelError: it has another."""
    return checked(path, path.parent.name) if _ships(path) and path.parent.name in OLDER else path


def _like(fingerprint: str, header: ModelHeader) -> list[str]:
    """The identities of the model that are as long as `fingerprint`: of the same kind of codes file."""
    return [name for name in names_of(header) if len(name) == len(fingerprint)]


def _candidates() -> Iterator[ModelHeader]:
    """Headers of all models that a search covers, that which `encode` would take before others of its codes: a run
    before its stages, the newest run first, then what ships. Files that are no models of sqcodec are skipped.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        yield read_header(resolve(named))
    runs, ships = list(trained_models()), sorted(SHIPPED.glob(f"**/{MODEL}"))
    deeper = sorted(set(RUNS.glob(f"**/{MODEL}")) - set(runs), key=lambda path: (len(path.parts), path))
    for path in (*runs, *ships, *deeper):
        try:
            yield read_header(path)
        except ModelError:
            continue


def _environment_text() -> str:
    named = os.environ.get(ENVIRONMENT)
    return f"{ENVIRONMENT} ({named})" if named else f"{ENVIRONMENT} (not set)"
