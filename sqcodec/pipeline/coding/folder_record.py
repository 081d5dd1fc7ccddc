"""What made the outputs of a folder run: one JSON line an output, in a hidden file of the folder."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from sqcodec.stamps import Stamp, stamp_of
from sqcodec.storage import append_line

NAME = ".sqcodec.jsonl"

State = Literal["new", "redone", "kept"]


class FolderRecord:
    """The record of the folder `root`. Outputs are named by their paths in it."""

    def __init__(self, root: Path) -> None:
        self._root, self._path = root, root / NAME
        self._entries = {entry["output"]: entry for entry in read_entries(self._path)}

    def state(self, output: str, source: Path, settings: Mapping[str, Any]) -> State:
        """Whether an output is `kept`: it, its source and the settings are those of the record."""
        written = stamp_of(self._root / output)
        if written is None:
            return "new"
        return "kept" if self._entries.get(output) == _entry(output, source, settings, written) else "redone"

    def left_of(self, source: Path, outputs: Collection[str]) -> list[str]:
        """Outputs of sources in the folder `source`, still as they were written, that are not among `outputs`; of the
        suffixes of those."""
        suffixes = {Path(output).suffix for output in outputs}
        others = [(output, entry) for output, entry in self._entries.items() if output not in outputs]
        return sorted(
            output for output, entry in others if Path(output).suffix in suffixes and self._is_of(entry, source)
        )

    def _is_of(self, entry: dict[str, Any], source: Path) -> bool:
        """Whether an output lies there as it was written, of a file in the folder `source`."""
        match entry:
            case {"output": output, "source": [str(path), *_], "written": list(written)}:
                stamp = stamp_of(self._root / output)
                return stamp is not None and [*stamp] == written and Path(path).is_relative_to(source.absolute())
        return False

    def add(
        self, output: str, source: Path, stamp: Stamp | None, settings: Mapping[str, Any], written: Stamp | None
    ) -> None:
        """Record an output with the stamp `written`, unless its source was changed since it had the stamp `stamp`.

        The output may have been replaced by another process meanwhile. Raises SqcodecError: the record cannot be
        written.
        """
        if written is not None and stamp is not None and stamp_of(source) == stamp:
            append_line(self._path, json.dumps(_entry(output, source, settings, written)))


def _entry(output: str, source: Path, settings: Mapping[str, Any], written: Stamp) -> dict[str, Any]:
    stamp = stamp_of(source)
    return {
        "output": output,
        "source": [str(source.absolute()), *(stamp or ())],
        "settings": dict(settings),
        "written": [*written],
    }


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a record; lines that a killed process left incomplete are left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("output"), str):
            entries.append(entry)
    return entries
