"""From recordings to codes and back: arrays, files and folders."""

from typing import Any

from sqcodec import former_names


def __getattr__(name: str) -> Any:
    """In release 0.1.0 this was a module, whose names are in `codec` now."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = former_names.look_up(name, __name__, [f"{__name__}.codec"])
    former_names.warn(f"{__name__}.{name}", f"{__name__}.codec.{name}")
    return found
