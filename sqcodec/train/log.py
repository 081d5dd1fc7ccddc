"""The training log: JSON lines for programs, TensorBoard for eyes, the same values in both."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.storage import write_text


class TrainingLog:
    """Appends entries {"step": ..., name: value, ...} to log.jsonl and the scalars to TensorBoard."""

    def __init__(self, folder: Path, *, keep_to: int) -> None:
        """Open the log in `folder`; entries after step keep_to (of a training that a crash undid) are dropped."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.path = folder / "log.jsonl"
        kept = [entry for entry in read_log(self.path) if entry["step"] <= keep_to] if self.path.is_file() else []
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        self._file = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=keep_to + 1)

    def write(self, entry: dict[str, Any]) -> None:
        """Log one entry; it is on disk when this returns."""
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        for name, value in entry.items():
            if name != "step" and isinstance(value, int | float):
                self._board.add_scalar(name, value, entry["step"])

    def add_sound(self, name: str, sound: NDArray[np.float32], step: int, sample_rate: int) -> None:
        """Put sound [n] into TensorBoard."""
        self._board.add_audio(name, torch.from_numpy(sound.clip(-1.0, 1.0)), step, sample_rate=sample_rate)

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        self._board.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log.jsonl, oldest first; a last line that a crash cut short is left out."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries
