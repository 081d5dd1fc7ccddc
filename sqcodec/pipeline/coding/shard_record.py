"""Which shards of an export are up to date: one JSON line a shard, in a hidden file of its folder."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqcodec.pipeline.coding.folder_record import NAME, State, read_entries
from sqcodec.stamps import Stamp, stamp_of
from sqcodec.storage import append_line


def digest_of(*values: Any) -> str:
    """16 hexadecimal digits of what decides a shard's content, as JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


class ShardRecord:
    """The record of the export in the folder `root`. A shard without rows, because all of its recordings failed, has
    no file."""

    def __init__(self, root: Path) -> None:
        self._root, self._path = root, root / NAME
        self._entries = {entry["output"]: entry for entry in read_entries(self._path) if "failed" in entry}

    def state(self, shard: str, key: str) -> State:
        """Whether a shard is `kept`: its file and its `digest_of` are those of the record."""
        entry = self._entries.get(shard)
        if entry is None:
            return "new"
        return "kept" if (entry["key"], entry["written"]) == (key, self._written(shard)) else "redone"

    def failed(self, shard: str) -> Mapping[str, str]:
        """Recordings that are missing in a shard, and why."""
        failed: Mapping[str, str] = self._entries[shard]["failed"]
        return failed

    def add(self, shard: str, key: str, failed: Mapping[str, str], stamp: Stamp | None) -> None:
        """Record a shard that was written with this stamp (None: no file). Raises SqcodecError: the record cannot be
        written."""
        entry = {"output": shard, "key": key, "written": stamp and [*stamp], "failed": dict(failed)}
        self._entries[shard] = entry
        append_line(self._path, json.dumps(entry))

    def remove_others(self, shards: set[str]) -> None:
        """Remove the shards of an earlier run that had more recordings, if they are as they were written."""
        for shard in self._entries.keys() - shards:
            if self._entries[shard]["written"] == self._written(shard):
                (self._root / shard).unlink(missing_ok=True)

    def _written(self, shard: str) -> list[int] | None:
        stamp = stamp_of(self._root / shard)
        return None if stamp is None else [*stamp]
