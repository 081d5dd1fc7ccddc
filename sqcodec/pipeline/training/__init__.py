"""From a corpus to a model: feature stores, trainings and what follows them."""

from typing import Any

from sqcodec import former_names


def __getattr__(name: str) -> Any:
    """In release 0.1.0 this was a module, whose names are in `train_codec` now."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = former_names.look_up(name, __name__, [f"{__name__}.train_codec"])
    former_names.warn(f"{__name__}.{name}", f"{__name__}.train_codec.{name}")
    return found
