"""From a corpus to a model: feature stores, trainings and what follows them."""
