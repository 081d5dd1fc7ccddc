"""Files appear whole or not at all, whatever happens; dead drafts go, living ones stay; every failure is one error."""

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sqcodec import storage, tensor_files
from sqcodec.errors import CodesError, ModelError, SqcodecError
from sqcodec.storage import move, write_bytes, write_json, write_text, written, written_folder
from tests.test_tensor_files import KIND

LONG_AGO = (0, 0)
MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def unswept() -> None:
    """As a new process, which has looked for dead drafts nowhere yet."""
    storage._swept.clear()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def child(code: str, *arguments: object) -> subprocess.Popen:
    """A process that runs the code and says "ready" when it has come as far as the test wants it."""
    setting = "import sys, time\nfrom pathlib import Path\nfrom sqcodec.storage import *\npath = Path(sys.argv[1])\n"
    return subprocess.Popen(
        [sys.executable, "-c", setting + code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


WAITING = """
with written(path) as draft:
    draft.write_bytes(b"half of it")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A process in the middle of writing tmp_path/a, which holds "old"."""
    (tmp_path / "a").write_text("old")
    process = child(WAITING, tmp_path / "a")
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def draft_in(folder: Path) -> Path:
    (draft,) = folder.glob(".*.draft")
    return draft


def test_every_writer_leaves_the_content_and_no_draft(tmp_path: Path) -> None:
    write_bytes(tmp_path / "bytes", b"\0\1")
    write_text(tmp_path / "text", "é\n")
    write_json(tmp_path / "json", {"a": [1]})
    with written_folder(tmp_path / "above" / "folder") as draft:
        (draft / "in").mkdir()
        (draft / "in" / "file").write_text("x")
    assert (tmp_path / "bytes").read_bytes() == b"\0\1"
    assert (tmp_path / "text").read_bytes() == "é\n".encode()
    assert (tmp_path / "json").read_text() == '{\n "a": [\n  1\n ]\n}\n'
    assert (tmp_path / "above" / "folder" / "in" / "file").read_text() == "x"
    assert names(tmp_path) == {"bytes", "text", "json", "above"}
    assert names(tmp_path / "above") == {"folder"}


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_the_old_file_is_there_and_no_draft(tmp_path: Path, raised) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(raised), written(tmp_path / "a") as draft:
        draft.write_text("half")
        raise raised
    with pytest.raises(raised), written_folder(tmp_path / "b") as draft:
        (draft / "half").write_text("half")
        raise raised
    assert names(tmp_path) == {"a"}
    assert (tmp_path / "a").read_text() == "old"


def test_a_killed_process_leaves_the_old_file_and_the_next_one_sweeps(tmp_path: Path, waiting) -> None:
    waiting.kill()
    waiting.wait()
    assert (tmp_path / "a").read_text() == "old"
    os.utime(draft_in(tmp_path), LONG_AGO)
    write_text(tmp_path / "b", "new")
    assert names(tmp_path) == {"a", "b"}


def test_a_draft_that_another_process_holds_is_left_alone(tmp_path: Path, waiting) -> None:
    os.utime(draft_in(tmp_path), LONG_AGO)
    write_text(tmp_path / "b", "new")
    assert names(tmp_path) == {"a", "b", draft_in(tmp_path).name}


def test_a_folder_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    code = WAITING.replace("written(path)", "written_folder(path)").replace("draft.write", "(draft / 'x').write")
    process = child(code, tmp_path / "folder")
    assert process.stdout.readline() == "ready\n"
    os.utime(draft_in(tmp_path), LONG_AGO)
    write_text(tmp_path / "a", "")
    assert len(names(tmp_path)) == 2
    process.kill()
    process.communicate()
    storage._swept.clear()
    write_text(tmp_path / "a", "")
    assert names(tmp_path) == {"a"}


def test_drafts_of_the_former_release_are_swept_when_their_process_is_dead(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ours = [f".a.wav.{dead.pid}.draft", f".b.{dead.pid}.draft"]
    others = [f".a.wav.{os.getpid()}.draft", ".a.wav.notes", "a.draft", ".0123456789ab.drafts", ".word.draft"]
    for name in [*ours, *others]:
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, LONG_AGO)
    young = ".0123456789ab.draft"
    (tmp_path / young).write_text("x")
    write_text(tmp_path / "a", "new")
    assert names(tmp_path) == {"a", young, *others}


def test_a_folder_is_looked_through_once_a_minute(tmp_path: Path, monkeypatch) -> None:
    write_text(tmp_path / "a", "")
    (tmp_path / ".0123456789ab.draft").write_text("x")
    os.utime(tmp_path / ".0123456789ab.draft", LONG_AGO)
    write_text(tmp_path / "a", "")
    assert len(names(tmp_path)) == 2
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    write_text(tmp_path / "a", "")
    assert names(tmp_path) == {"a"}


def test_drafts_of_one_file_have_different_names(tmp_path: Path) -> None:
    with written(tmp_path / "a") as one, written(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one"  # the last to end


def test_two_processes_write_one_file_at_once(tmp_path: Path) -> None:
    """What is there at any moment is all of one or all of the other."""
    code = "for _ in range(100): write_bytes(path, sys.argv[2].encode() * 100_000)"
    processes = [child(code, tmp_path / "a", letter) for letter in "xy"]
    while any(process.poll() is None for process in processes):
        if (tmp_path / "a").exists():
            content = (tmp_path / "a").read_bytes()
            assert content in (b"x" * 100_000, b"y" * 100_000)
    assert [process.communicate() and process.returncode for process in processes] == [0, 0]
    assert names(tmp_path) == {"a"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB, where we may mount one; else a folder in which no file may be larger than that."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        yield folder
        subprocess.run(["umount", folder], check=True)
        return
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, limits[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_error_and_leaves_the_old_file(small_disk: Path) -> None:
    path = small_disk / "a"
    write_text(path, "old")
    reason = r"(No space left on device|File too large)"
    with pytest.raises(CodesError, match=rf"^{path}: cannot be written: {reason}$"):
        write_bytes(path, bytes(MEGABYTE), error=CodesError)
    with (
        pytest.raises(SqcodecError, match=rf"^{small_disk / 'folder'}: cannot be written: {reason}$"),
        written_folder(small_disk / "folder") as draft,
    ):
        (draft / "x").write_bytes(bytes(MEGABYTE))
    with pytest.raises(ModelError, match=rf"^{path}: cannot be written: {reason}$"):
        tensor_files.save_tensors(path, {"w": torch.zeros(MEGABYTE)}, {"format": 1}, KIND)
    assert path.read_text() == "old"
    assert names(small_disk) == {"a"}


def test_every_refusal_of_the_system_is_one_error(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "folder").mkdir()
    long = tmp_path / ("n" * 256)
    for path, reason in [
        (tmp_path / "none" / "a", "No such file or directory"),
        (tmp_path / "folder", "Is a directory"),
        (Path("/dev/null"), "not a plain file"),
        (long, "File name too long"),
    ]:
        with pytest.raises(SqcodecError) as caught:
            write_text(path, "x")
        assert str(caught.value) == f"{path}: cannot be written: {reason}"
    assert Path("/dev/null").is_char_device()

    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # a folder without permission does not stop root
    with pytest.raises(SqcodecError, match=rf"^{tmp_path / 'a'}: cannot be written: Permission denied$"):
        write_text(tmp_path / "a", "x")
    assert names(tmp_path) == {"folder"}


def test_a_folder_without_permission(tmp_path: Path) -> None:
    """As another user, where we are root."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    code = (
        "import os\nif os.geteuid() == 0: os.setuid(65534)\n"
        "try: write_text(path, 'x')\nexcept SqcodecError as error: print(error)"
    )
    for above in [tmp_path, *tmp_path.parents][:3]:
        above.chmod(above.stat().st_mode | 0o111)
    process = child(code, folder / "a")
    assert process.communicate()[0] == f"{folder / 'a'}: cannot be written: Permission denied\n"
    assert not names(folder)


def test_names_of_250_bytes(tmp_path: Path) -> None:
    name = "é" * 125
    write_text(tmp_path / name, "x")
    with written_folder(tmp_path / ("f" * 255)) as draft:
        (draft / name).write_text("x")
    assert names(tmp_path) == {name, "f" * 255}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path, mask) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a", "x")
        (tmp_path / "plain").write_text("x")
        with written(tmp_path / "replaced") as draft:  # as some libraries do, with a file of the owner's alone
            draft.unlink()
            draft.touch(0o600)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "plain", "replaced")}
    assert modes == {0o666 & ~mask}


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_an_old_file_keeps_its_mode(tmp_path: Path, mode) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(mode)
    write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("there", "dangling"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
    (tmp_path / "far" / "there").write_text("old")
    for name in ("there", "dangling"):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).read_text() == "new"
    assert names(tmp_path / "far") == {"there", "dangling"}


def test_a_folder_takes_the_place_of_another_only_where_it_may(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    with (
        pytest.raises(SqcodecError, match=r"cannot be written: Directory not empty$"),
        written_folder(tmp_path / "folder") as draft,
    ):
        (draft / "new").write_text("new")
    assert names(tmp_path / "folder") == {"old"}
    with written_folder(tmp_path / "folder", replace=True) as draft:
        (draft / "new").write_text("new")
    assert names(tmp_path / "folder") == {"new"}
    assert names(tmp_path) == {"folder"}


def test_an_older_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if (self / "new").exists():
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with (
        pytest.raises(SqcodecError, match=r"folder: cannot be written: Input/output error$"),
        written_folder(tmp_path / "folder", replace=True) as draft,
    ):
        (draft / "new").write_text("new")
    assert names(tmp_path) == {"folder"}
    assert names(tmp_path / "folder") == {"old"}


def test_a_complete_draft_is_moved(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_text("x")
    (tmp_path / "b.part").mkdir()
    move(tmp_path / "a.part", tmp_path / "a")
    move(tmp_path / "b.part", tmp_path / "b")
    assert names(tmp_path) == {"a", "b"}
    with pytest.raises(CodesError, match=r"none/a: cannot be written: No such file or directory$"):
        move(tmp_path / "a", tmp_path / "none" / "a", error=CodesError)


def test_windows_has_no_part_that_only_posix_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There no draft is locked or swept, no process gets a signal, and what is flushed is open for writing."""
    modes: list[str] = []
    opened = Path.open

    def watched(path: Path, mode: str = "r", *rest: object, **named: object) -> object:
        modes.append(mode)
        return opened(path, mode, *rest, **named)

    monkeypatch.setattr(storage.sys, "platform", "win32")
    monkeypatch.setattr(storage.os, "kill", None)
    monkeypatch.setattr(storage, "fcntl", None)
    monkeypatch.setattr(Path, "open", watched)
    (tmp_path / ".x.123456.draft").write_bytes(b"")
    storage.write_text(tmp_path / "text", "first")
    storage.write_text(tmp_path / "text", "second")
    assert (tmp_path / "text").read_text("utf-8") == "second"
    assert "rb" not in modes[:-1]
    assert "r+b" in modes
