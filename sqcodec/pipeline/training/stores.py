"""The feature store that a training reads."""

from pathlib import Path

from sqcodec.corpus.store import FeatureStore, open_store
from sqcodec.errors import TrainingError
from sqcodec.recipe import Recipe


def open_store_of(recipe: Recipe, features: Path, evaluate_split: str) -> FeatureStore:
    """The store in `features`, which must be of the recipe's features and hold what to train and to test on.

    Raises CorpusError: no store; TrainingError: of other features, or without one of the splits.
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
                f"{features} has no split {split!r}, it has {', '.join(store.splits)}; set train.evaluate_split to one"
                " of them or prepare the corpus again"
            )
    return store
