"""The verb `import-sony`: turn a checkpoint of the official code into a run folder."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from sqcodec.errors import ModelError
from sqcodec.file_names import MODEL
from sqcodec.model.model_file import save_model
from sqcodec.model.sony_weights import convert, read_checkpoint
from sqcodec.recipe import load_recipe
from sqcodec.storage import write_text


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The model that was written."""

    path: Path
    variance: str
    speakers: int
    step: int
    fingerprint: str


def import_sony(checkpoint: Path, speakers: Path, out: Path) -> Imported:
    """Write `out`/model.safetensors and recipe.yaml from an official checkpoint and its speakers.json.

    Raises ModelError: a file is missing or invalid, the two do not match, or `out` holds a model already.
    """
    path = out / MODEL
    if path.exists():
        raise ModelError(f"{path}: there is a model already; choose another folder")
    names, found = _speakers(speakers), read_checkpoint(checkpoint)
    codec = convert(found, names, load_recipe("zerospeech2019").codec, where=str(checkpoint))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "recipe.yaml", yaml.safe_dump(codec.recipe.model_dump(mode="json"), sort_keys=False))
    save_model(path, codec, int(found["step"]))
    return Imported(
        path=path,
        variance=codec.recipe.quantizer.variance,  # type: ignore[union-attr]  # convert gives Gaussian quantisers only
        speakers=len(names),
        step=int(found["step"]),
        fingerprint=codec.fingerprint,
    )


def _speakers(path: Path) -> tuple[str, ...]:
    """speakers.json is a list. The official code sorts it before it numbers the speakers."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); expected the speakers.json of the data") from None
    except ValueError as error:
        raise ModelError(f"{path}: not a JSON file ({error}); expected a list of speakers") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelError(f"{path}: got {type(names).__name__}, expected a list of speakers' names")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(f"{path}: names {twice[0]!r} twice, expected each speaker once")
    return tuple(sorted(names))
