"""How a voice is told of."""


def speaker_text(speaker: str | None) -> str:
    """`, speaker p225`; nothing where the model takes any voice."""
    return f", speaker {speaker}" if speaker else ""
