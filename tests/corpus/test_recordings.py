"""Which files of a folder are recordings: links, loops, hidden files, suffixes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.folder import find_recordings
from sqcodec.corpus.recordings import SUFFIXES, files_below, files_in
from sqcodec.errors import AudioError, CorpusError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in files_below(root)]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "real/p2/1.wav", "real/3.flac", "s/p1/1.wav")
    (tmp_path / "s" / "p2").symlink_to(tmp_path / "real" / "p2")
    (tmp_path / "s" / "p1" / "2.flac").symlink_to("../../real/3.flac")
    (tmp_path / "s" / "p1" / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "s" / "p1" / "gone.txt").symlink_to("nowhere.txt")
    assert names(tmp_path / "s") == ["p1/1.wav", "p1/2.flac", "p1/gone.wav", "p2/1.wav"]
    assert files_in(tmp_path / "s" / "p1")[-1].name == "gone.wav"  # that it is missing is for its reader to say
    with pytest.raises(AudioError, match=r"gone.wav: missing: no such file"):
        AudioSource(tmp_path / "s" / "p1" / "gone.wav")


def test_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.wav", "b/2.wav")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "itself").symlink_to(".")
    (tmp_path / "b" / "a").symlink_to("../a")  # no loop: `a` is not on the way to it
    assert names(tmp_path) == ["a/1.wav", "b/2.wav", "b/a/1.wav"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / ".mine"  # the folder that was named may be hidden itself
    touch(root, "a/1.wav", "a/._1.wav", ".Trash/2.wav", "__MACOSX/a/1.wav", "b/__MACOSX/3.wav", "b/.x/y/4.wav")
    assert names(root) == ["a/1.wav"]
    assert files_in(root / "a") == [root / "a/1.wav"]


def test_the_order_is_that_of_sorted_paths(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a/2.wav", "a/10.wav", "a.wav", "a-b/1.wav", "a/z/1.wav", "B.WAV")
    assert files_below(tmp_path) == sorted(tmp_path.rglob("*.[wW]*"))
    assert files_below(tmp_path)[0].name == "B.WAV"


def test_files_in_stays_in_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a.flac", "a/2.wav", "c.txt")
    assert [path.name for path in files_in(tmp_path)] == ["a.flac", "b.wav"]
    assert [path.name for path in files_in(tmp_path, (".txt",))] == ["c.txt"]


def test_a_file_as_folder_has_no_recordings(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    for path in (tmp_path / "a.wav", tmp_path / "none"):
        assert files_below(path) == files_in(path) == []


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)  # file modes do not stop root
    with pytest.raises(CorpusError, match=r": cannot be read \(Permission denied\); make the folder readable"):
        files_below(tmp_path)


def test_every_format_of_libsndfile_with_a_header_has_a_suffix() -> None:
    assert set(SUFFIXES.values()) == set(soundfile.available_formats()) - {"RAW"}


@pytest.mark.parametrize(("suffix", "form"), SUFFIXES.items())
def test_files_of_each_suffix_are_read(tmp_path: Path, suffix: str, form: str) -> None:
    subtype = "OPUS" if suffix == ".opus" else None
    soundfile.write(tmp_path / f"a{suffix}", np.full(1600, 0.1), 8000, format=form, subtype=subtype)
    (path,) = find_recordings(tmp_path).values()
    assert len(AudioSource(path).read(16000)) >= 1600 * 16000 // 44100  # .xi says 44100 Hz of anything
