"""The feature store that a training reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqcodec.corpus.store import FeatureStore, corpus_section, open_store
from sqcodec.errors import TrainingError
from sqcodec.recipe import Recipe


def open_store_of(recipe: Recipe, features: Path, evaluate_split: str, section: str = "train") -> FeatureStore:
    """The store in `features`, which must have the features of the recipe, a training split and the evaluation split
    that `section` names.

    Raises CorpusError: no store; TrainingError: other features, or a split is missing.
    """
    store = open_store(features)
    expected = recipe.features.configuration
    if store.features != expected:
        raise TrainingError(
            f"{features} holds {store.features.name} features, recipe {recipe.name} expects {expected.name};"
            " prepare the corpus with this recipe or train another one"
        )
    for split in ("train", evaluate_split):
        if split not in store.splits:
            raise TrainingError(
                f"{features} has no split {split!r}, it has {', '.join(store.splits)}; set {section}.evaluate_split to"
                " one of them or prepare the corpus again"
            )
    return store


def check_corpus(recipe: Recipe, features: Path, overrides: Sequence[str]) -> None:
    """Raise TrainingError where overrides of the section `corpus` are not what the store in `features` was made with: a
    training takes what is there, and its model would say otherwise. (A store of an earlier version does not tell.)"""
    given = [override for override in overrides if override.partition("=")[0].split(".")[0] == "corpus"]
    if not given or (made := corpus_section(features)) is None:
        return
    asked = recipe.corpus.model_dump(mode="json")
    if asked != made:
        differ = ", ".join(_differences(asked, made, "corpus"))
        raise TrainingError(
            f"`overrides` {given[0]}: {features} was prepared with {differ}; a training takes what is there. Give it to"
            " 'sqcodec prep' with another `out`, or leave it out"
        )


def _differences(asked: Any, made: Any, key: str) -> list[str]:
    """What was made by keys, where it differs."""
    if not (isinstance(asked, dict) and isinstance(made, dict)):
        return [f"{key} {made}"]
    names = [name for name in {**asked, **made} if asked.get(name) != made.get(name)]
    return [text for name in names for text in _differences(asked.get(name), made.get(name), f"{key}.{name}")]
