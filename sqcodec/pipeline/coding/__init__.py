"""From recordings to codes and back: arrays, files and folders."""

from typing import Any

from sqcodec import former_names


def __getattr__(name: str) -> Any:
    return former_names.of_package(__name__, name, "codec")
