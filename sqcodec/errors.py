"""The errors that a user can see. Each text says where, what was got, what was expected, and what to do next."""


class SqcodecError(Exception):
    """Base class of all errors of sqcodec. The command line prints the text and exits with status 1."""


class AudioError(SqcodecError):
    """A recording cannot be read, or it has no samples to encode."""


class CorpusError(SqcodecError):
    """A corpus, a split list or a feature store is missing, incomplete, or does not match the recipe."""


class RecipeError(SqcodecError):
    """A recipe or an override of its values is not valid."""


class ModelError(SqcodecError):
    """A model is missing or damaged, or another model wrote the codes."""


class VocoderError(SqcodecError):
    """A vocoder is missing or damaged, or it takes other features."""


class CodesError(SqcodecError):
    """A codes file has another format, is truncated or damaged, or does not fit the model."""


class TrainingError(SqcodecError):
    """A training cannot start or continue, or it has diverged."""


class StoppedError(TrainingError):
    """A training was stopped by a signal; its state is saved."""


class MetricError(SqcodecError):
    """A metric cannot be computed: a recording is silent or too short, or a package is missing."""
