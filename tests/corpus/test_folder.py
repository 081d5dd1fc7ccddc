from pathlib import Path

import pytest

from sqcodec.corpus import folder
from sqcodec.errors import CorpusError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_walk_takes_speakers_from_folders_and_ignores_other_files(tmp_path: Path) -> None:
    touch(tmp_path, "x/anna/1.wav", "x/anna/2.FLAC", "ben/talk/long.opus", "ben/notes.txt", "ben/plain.raw", "anna.mp3")
    manifest = folder.walk(tmp_path, 0.0)
    assert [(u.name, u.speaker, u.split) for u in manifest.utterances] == [
        ("anna", tmp_path.name, "train"),
        ("ben/talk/long", "talk", "train"),
        ("x/anna/1", "anna", "train"),
        ("x/anna/2", "anna", "train"),
    ]


def test_every_speaker_with_two_recordings_has_a_test_and_a_training_one(tmp_path: Path) -> None:
    for speaker in range(30):
        touch(tmp_path, *(f"s{speaker}/{n}.wav" for n in range(1 + speaker % 3)))
    for fraction in (0.001, 0.3, 0.99):
        splits: dict[str, list[str]] = {}
        for utterance in folder.walk(tmp_path, fraction).utterances:
            splits.setdefault(utterance.speaker, []).append(utterance.split)
        assert all("train" in own for own in splits.values())
        assert all(("test" in own) == (len(own) > 1) for own in splits.values())


def test_held_out_recordings_do_not_depend_on_what_else_is_there(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a/{n}.wav" for n in range(200)))
    before = {u.name for u in folder.walk(tmp_path, 0.1).utterances if u.split == "test"}
    touch(tmp_path, *(f"b/{n}.wav" for n in range(50)))
    after = {u.name for u in folder.walk(tmp_path, 0.1).utterances if u.split == "test" and u.speaker == "a"}
    assert after == before
    assert 8 <= len(before) <= 35  # 20 expected, standard deviation 4.2


def test_two_recordings_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.wav", "a/1.flac")
    with pytest.raises(
        CorpusError, match=r"1.wav: has the same name as .*1.flac; names count without suffix, remove one"
    ):
        folder.walk(tmp_path, 0.1)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"got no recordings, expected <speaker>/<utterance>.wav"):
        folder.walk(tmp_path, 0.1)


def test_list_paths_are_relative_to_the_list(tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text("split\tpath\tspeaker\textra\ntest\td/x.y.wav\tanna\t1\n")
    (only,) = folder.read_list(tmp_path / "l.tsv").utterances
    assert (only.name, only.path, only.speaker, only.split) == ("d/x.y", tmp_path / "d/x.y.wav", "anna", "test")


def test_list_paths_are_relative_to_a_folder_that_is_given_and_credits_are_read(tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text(
        "path\tspeaker\tsplit\tcredit\na.wav\tanna\ttest\tAnna, CC BY 4.0\nb.wav\tb\ttest\n"
    )
    first, second = folder.read_list(tmp_path / "l.tsv", tmp_path / "sounds").utterances
    assert (first.path, first.credit) == (tmp_path / "sounds" / "a.wav", "Anna, CC BY 4.0")
    assert (second.path, second.credit) == (tmp_path / "sounds" / "b.wav", "")


COLUMNS = "path, speaker, split"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("path\tspeaker\n", f": got the columns path, speaker, expected {COLUMNS}, separated by tabs"),
        ("", f": got the columns none, expected {COLUMNS}, separated by tabs"),
        ("path\tspeaker\tsplit\na.wav\t\ttest\n", f", line 2: an empty field; expected {COLUMNS}, separated by tabs"),
        ("path\tspeaker\tsplit\na.wav\tb\n", f", line 2: an empty field; expected {COLUMNS}, separated by tabs"),
        (
            "path\tspeaker\tsplit\na.wav\tb\t../c\n",
            ", line 2: got the split '../c', expected a word such as train or test",
        ),
    ],
)  # fmt: skip
def test_wrong_lists_are_refused(tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "l.tsv").write_text(text)
    with pytest.raises(CorpusError) as caught:
        folder.read_list(tmp_path / "l.tsv")
    assert str(caught.value) == f"{tmp_path / 'l.tsv'}{error}"


def test_missing_and_binary_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no such list; expected a TSV with the columns path, speaker, split"):
        folder.read_list(tmp_path / "l.tsv")
    (tmp_path / "l.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match=r"not a TSV"):
        folder.read_list(tmp_path / "l.tsv")


def test_a_list_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """Excel begins UTF-8 with a mark."""
    (tmp_path / "list.tsv").write_text("path\tspeaker\tsplit\na.wav\tp1\ttrain\n", encoding="utf-8-sig")
    assert [utterance.speaker for utterance in folder.read_list(tmp_path / "list.tsv").utterances] == ["p1"]
