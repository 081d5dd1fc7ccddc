"""The feature store that a training reads."""

from pathlib import Path

from sqcodec.corpus.store import FeatureStore, open_store
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
