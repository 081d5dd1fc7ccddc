"""The names of the files of a run, and of a folder of a model that ships; and any file's name as text."""

import os

MODEL = "model.safetensors"
VOCODER = "vocoder.safetensors"
CHECKPOINT = "checkpoint.pt"


def readable(name: str) -> str:
    """A file's name as text that every format takes: bytes that are not UTF-8 as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
