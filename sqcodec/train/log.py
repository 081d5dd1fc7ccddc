"""The training log: JSON lines for programs, TensorBoard for eyes, the same values in both."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.errors import TrainingError
from sqcodec.file_names import readable
from sqcodec.storage import append_line, write_text


class TrainingLog:
    """Appends entries {"step": ..., name: value, ...} to log.jsonl and the scalars to TensorBoard.

    Every method raises TrainingError: a file cannot be written.
    """

    def __init__(self, folder: Path, *, keep_to: int) -> None:
        """Open the log in `folder`; entries after step keep_to (of a training that a crash undid) are dropped."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.path, self._board_folder = folder / "log.jsonl", folder / "tensorboard"
        kept = [entry for entry in read_log(self.path) if entry["step"] <= keep_to] if self.path.is_file() else []
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept), error=TrainingError)
        with self._board_errors():
            self._board = SummaryWriter(str(self._board_folder), purge_step=keep_to + 1)

    def write(self, entry: dict[str, Any]) -> None:
        """Log one entry; other programs can read it when this returns."""
        append_line(self.path, json.dumps(entry), error=TrainingError)
        with self._board_errors():
            for name, value in entry.items():
                if name != "step" and isinstance(value, int | float):
                    self._board.add_scalar(name, value, entry["step"])

    def add_sound(self, name: str, sound: NDArray[np.float32], step: int, sample_rate: int) -> None:
        """Put sound [n] into TensorBoard."""
        with self._board_errors():
            clipped = torch.from_numpy(sound.clip(-1.0, 1.0))
            self._board.add_audio(readable(name), clipped, step, sample_rate=sample_rate)

    def close(self) -> None:
        """Write what TensorBoard has not written yet, and close it."""
        with self._board_errors():
            self._board.close()

    @contextmanager
    def _board_errors(self) -> Iterator[None]:
        """TensorBoard writes in a thread of its own; the next call raises what went wrong there, without a name."""
        try:
            yield
        except OSError as error:
            raise TrainingError(f"{self._board_folder}: cannot be written: {error.strerror or error}") from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log.jsonl, oldest first; a last line that a crash cut short is left out."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries
