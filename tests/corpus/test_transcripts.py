from pathlib import Path

import pytest

from sqcodec.corpus.transcripts import transcript_of
from sqcodec.errors import CorpusError


def test_the_best_transcript_beside_a_recording_is_read(tmp_path: Path) -> None:
    recording = tmp_path / "61-70968-0001.flac"
    assert transcript_of(recording) is None
    for name, text in (
        ("61-70968.trans.txt", "61-70968-0000 NOT THIS\n61-70968-0001 THE LIST\n61-70968-0002\n"),
        ("61-70968-0001.lab", "the labels"),
        ("61-70968-0001.txt", "The text,\n on two lines.\n"),
        ("61-70968-0001.normalized.txt", "The normalised text."),
    ):
        (tmp_path / name).write_text(text, "utf-8")
        words = text.split("\n")[1].partition(" ")[2] if "trans" in name else " ".join(text.split())
        assert transcript_of(recording) == words


def test_a_list_that_was_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.trans.txt"
    for words in ("one", "two three"):
        path.write_text(f"a {words}\n", "utf-8")
        assert transcript_of(tmp_path / "a.wav") == words


def test_a_name_with_dots_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.b.txt").write_text("yes", "utf-8")
    assert transcript_of(tmp_path / "a.b.wav") == "yes"
    assert transcript_of(tmp_path / "a.wav") is None


def test_a_transcript_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("naïve".encode("latin1"))
    with pytest.raises(CorpusError) as error:
        transcript_of(tmp_path / "a.wav")
    assert str(error.value).startswith(f"{path}: not a transcript in UTF-8 ('utf-8' codec can't decode")
