"""Input that can be read once, and streams that are closed."""

import os
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest
import soundfile

from sqcodec.errors import SqcodecError
from sqcodec.pipeline.paths import spooled, written


def test_a_named_pipe_is_copied(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"some sound",))
    writer.start()
    with spooled(pipe) as path:
        assert path.read_bytes() == b"some sound"
        assert path.is_file()
    writer.join()
    assert not path.exists()
    writer = threading.Thread(target=pipe.write_bytes, args=(b"",))
    writer.start()
    with pytest.raises(SqcodecError, match=rf"^{pipe}: bad$"), spooled(pipe) as path:
        raise SqcodecError(f"{path}: bad")
    writer.join()


@pytest.mark.parametrize("name", ["file", "folder", "missing"])
def test_what_can_be_read_again_is_not_copied(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with spooled(tmp_path / name) as path:
        assert path == tmp_path / name


def test_closed_streams_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `sqcodec encode - x.sqc <&-` has them."""
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SqcodecError) as caught, spooled(Path("-")):
        pass
    assert str(caught.value) == "standard input: it is closed; name a file, or pipe the input in"
    with pytest.raises(SqcodecError) as caught, written(Path("-")) as draft:
        draft.write_bytes(b"x")
    assert str(caught.value) == "standard output: it is closed; name a file"


def test_no_room_for_the_copy_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"",))
    writer.start()
    with pytest.raises(SqcodecError) as caught, spooled(tmp_path / "pipe"):
        pass
    assert str(caught.value).startswith(f"{tmp_path / 'pipe'}: cannot be read, or copied to ")
    assert str(caught.value).endswith(": No space left on device; TMPDIR names another folder for the copy")
    writer.join()


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libsndfile: "System error."; the draft, which is in the way, is still there when room is looked for."""
    usage = namedtuple("usage", "free")
    for free, text in ((4096, "No space left on device"), (1 << 30, "System error")):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: usage(free))
        with pytest.raises(SqcodecError) as caught, written(tmp_path / "a.wav"):
            raise soundfile.SoundFileRuntimeError("System error")
        assert str(caught.value) == f"{tmp_path / 'a.wav'}: cannot be written: {text}"
    assert list(tmp_path.iterdir()) == []
