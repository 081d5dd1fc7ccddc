"""How a voice and a model are told of."""

from pathlib import Path


def speaker_text(speaker: str | None) -> str:
    """`, speaker p225`; nothing where the model takes any voice."""
    return f", speaker {speaker}" if speaker else ""


def model_text(path: Path) -> str:
    """The name of a model that ships, the path of any other."""
    from sqcodec.pipeline.finding.models import SHIPPED

    return path.parent.name if path.is_relative_to(SHIPPED) else str(path)
