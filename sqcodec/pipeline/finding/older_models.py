"""Models that shipped before: whole in the sources, but not in the wheel, which has the newest."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from sqcodec.errors import ModelError


class OlderModel(NamedTuple):
    """What is known of a file that may not be here: its SHA-256, its identities in codes files (`names_of`), and the
    folder under models/ whose vocoder it uses.
    """

    checksum: str
    identities: tuple[str, ...]
    vocoder: str


OLDER = {
    "speech16k-1": OlderModel(
        checksum="1b8486c1e61b214f367f949ddf3ac5dd55acee09d0ca6b00deac99deac0083a7",
        identities=("afd19f03b449d079", "5819a8dd35fa", "568f807f4c88", "2bd8a6881ecd"),
        vocoder="speech16k",
    )
}


def where_to_get(name: str, place: Path) -> str:
    """What to do for want of the older model `name`; place: where it is looked for."""
    return (
        f"{name} is not in the wheel: take sqcodec/models/{name}/{place.name} (SHA-256 {OLDER[name].checksum}) from the"
        f" repository or the source distribution, and name its path with `model`, or put it at {place}"
    )


def older_model(identity: str) -> str | None:
    """The name of the older model that has this identity in codes files."""
    return next((name for name, older in OLDER.items() if identity in older.identities), None)


def checked(path: Path, name: str) -> Path:
    """The path of the older model `name`. Raises ModelError: it holds something else."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != OLDER[name].checksum:
        raise ModelError(
            f"{path}: not {name}, or damaged: SHA-256 {found}, expected {OLDER[name].checksum}; copy it once more"
        )
    return path


def shared_vocoder(fingerprint: str | None) -> str | None:
    """The folder under models/ whose vocoder serves the codec of this fingerprint, if it is an older model."""
    name = older_model(fingerprint) if fingerprint else None
    return OLDER[name].vocoder if name else None
