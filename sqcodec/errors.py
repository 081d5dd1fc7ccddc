"""The errors a user can meet. Each text says where, what was got, what was expected, and what to do next."""


class SqcodecError(Exception):
    """Root of every error that sqcodec raises on purpose; the command line prints it and exits with status 1."""


class AudioError(SqcodecError):
    """A recording cannot be read, or holds nothing that can be coded."""


class CorpusError(SqcodecError):
    """A corpus, a split list or a feature store is missing, incomplete or not what the recipe expects."""


class RecipeError(SqcodecError):
    """A recipe, or an override of one, is not valid."""


class ModelError(SqcodecError):
    """A model is missing, broken, or not the one that wrote the codes."""


class VocoderError(SqcodecError):
    """A vocoder is missing, broken, or made for other features."""


class CodesError(SqcodecError):
    """A codes file is foreign, truncated, corrupted, or does not fit the model."""


class TrainingError(SqcodecError):
    """A training cannot start, go on, or has diverged."""


class StoppedError(TrainingError):
    """A training stopped because it was asked to; its state is saved."""


class MetricError(SqcodecError):
    """A figure cannot be computed: of these recordings (silent, too short), or because a package is missing."""
