"""Locks of folders that one process makes."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from sqcodec.errors import SqcodecError
from sqcodec.locking import alone


def test_one_process_alone_makes_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / ("n" * 250)
    with alone(path):
        with pytest.raises(SqcodecError) as caught, alone(path):
            pass
        assert str(caught.value) == f"{path}: another process is making it; wait for its end, or choose another place"
        with alone(path.with_name("other")):
            pass
    with alone(path):
        pass
    assert list((tmp_path / "new").iterdir()) == []


def test_a_lock_that_was_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last owner removes it between opening and locking: the next one looks again."""
    flock, removed = fcntl.flock, []

    def late(descriptor: int, kind: int) -> None:
        flock(descriptor, kind)
        if not removed:
            removed.append(True)
            (tmp_path / ".store.lock").unlink()

    monkeypatch.setattr(fcntl, "flock", late)
    with alone(tmp_path / "store"), pytest.raises(SqcodecError), alone(tmp_path / "store"):
        pass
    assert removed


@pytest.mark.parametrize(("module", "name"), [(Path, "open"), (fcntl, "flock"), (os, "fstat")])
def test_an_interruption_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    """Ctrl-C when the file is there and nobody's yet: seen once in 870 interruptions of `prep`."""
    true = getattr(module, name)

    def interrupted(*arguments: Any) -> None:
        monkeypatch.undo()
        result = true(*arguments)
        if name == "open":
            result.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, interrupted)
    with pytest.raises(KeyboardInterrupt), alone(tmp_path / "store"):
        pass
    assert list(tmp_path.iterdir()) == []
    with alone(tmp_path / "store"):  # nor does the process hold it
        pass


def test_names_are_cut_by_bytes(tmp_path: Path) -> None:
    """252 bytes are a name that a folder can have."""
    with alone(tmp_path / ("語" * 84)):
        assert len(list(tmp_path.iterdir())) == 1
