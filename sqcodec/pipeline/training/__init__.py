"""From a corpus to a model: feature stores, trainings and what follows them."""

from typing import Any

from sqcodec import former_names


def __getattr__(name: str) -> Any:
    return former_names.of_package(__name__, name, "train_codec")
