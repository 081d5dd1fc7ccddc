"""LibriSpeech as it is unpacked."""

from pathlib import Path

import pytest

from sqcodec.corpus.librispeech import read_set
from sqcodec.errors import CorpusError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """LibriSpeech/test-clean with two speakers and files that are no recordings of it."""
    root = tmp_path / "LibriSpeech"
    for speaker, chapter, number in ((61, 70968, 0), (61, 70968, 1), (121, 127105, 0)):
        path = root / "test-clean" / str(speaker) / str(chapter) / f"{speaker}-{chapter}-{number:04}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.with_name(f"{speaker}-{chapter}.trans.txt").open("a") as file:
            file.write(f"{path.stem} HE HOPED\n")
    (root / "test-clean" / "noise.wav").touch()
    (root / "test-clean" / "61" / "70968" / "62-70968-0000.flac").touch()  # of another speaker
    return root


def test_recordings_have_the_speaker_of_their_folder(folder: Path) -> None:
    found = read_set(folder, "test-clean", words=True)
    assert [(utterance.name, utterance.speaker) for utterance in found] == [
        ("121/127105/121-127105-0000", "121"), ("61/70968/61-70968-0000", "61"), ("61/70968/61-70968-0001", "61"),
    ]  # fmt: skip
    assert read_set(folder / "test-clean", "test-clean", words=True) == found


def test_missing_words_are_an_error_where_they_are_needed(folder: Path) -> None:
    listed = folder / "test-clean" / "61" / "70968" / "61-70968.trans.txt"
    listed.write_text("61-70968-0000 HE HOPED\n")
    assert len(read_set(folder, "test-clean", words=False)) == 3
    with pytest.raises(CorpusError) as error:
        read_set(folder, "test-clean", words=True)
    path = listed.with_name("61-70968-0001.flac")
    assert str(error.value) == f"{path}: its words are missing, expected a line of {listed}"


def test_other_folders_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(CorpusError, match=r": got no folder test-clean, expected test-clean/SPEAKER/CHAPTER/SPEAKER-"):
        read_set(tmp_path, "test-clean", words=False)
    (tmp_path / "test-clean").mkdir()
    with pytest.raises(CorpusError, match=r"test-clean: got no recordings SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac"):
        read_set(tmp_path, "test-clean", words=False)
