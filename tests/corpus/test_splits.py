from pathlib import Path

import pytest

from sqcodec.corpus.splits import Recording, assign, read_split
from sqcodec.errors import CorpusError

RATES = frozenset({48000})


def lists(folder: Path, **texts: str) -> dict[str, Path]:
    for split, text in texts.items():
        (folder / f"{split}.txt").write_text(text)
    return {split: folder / f"{split}.txt" for split in texts}


def test_entries_skip_comments_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# head\n\n p225_001  # why\ntrain/unit/\n")
    assert read_split(tmp_path / "a.txt") == ["p225_001", "train/unit/"]


def test_utterance_beats_speaker_beats_inner_folder_beats_outer(tmp_path: Path) -> None:
    splits = lists(tmp_path, one="in/\nS1_1\n", two="in/deep/\n", three="S2\n")
    recordings = [
        Recording(name, Path(f"/{name}.wav"), name.split("/")[-1].partition("_")[0])
        for name in ["in/S1_1", "in/S1_2", "in/deep/S1_3", "in/deep/S2_1", "in/deep/S1_1", "out/S9_1"]
    ]
    manifest = assign(recordings, splits, usual_rates=RATES)
    assert {utterance.name: utterance.split for utterance in manifest.utterances} == {
        "in/S1_1": "one", "in/S1_2": "one", "in/deep/S1_1": "one", "in/deep/S1_3": "two", "in/deep/S2_1": "three",
    }  # fmt: skip
    assert manifest.remarks == ("1 recording(s) are in no split and left out",)


def test_entries_without_audio_are_counted(tmp_path: Path) -> None:
    splits = lists(tmp_path, train="a\nb\nc\nd\ne\n")
    manifest = assign([Recording("a_1", Path("a"), "a")], splits, usual_rates=RATES)
    assert manifest.remarks == (f"train: 4 of 5 entries of {tmp_path / 'train.txt'} have no audio here (b, c, d, ...)",)


def test_an_entry_in_two_lists_is_an_error(tmp_path: Path) -> None:
    splits = lists(tmp_path, train="p225\n", test="p225\n")
    with pytest.raises(CorpusError) as error:
        assign([], splits, usual_rates=RATES)
    expected = (
        f"{tmp_path / 'test.txt'}: 'p225' is in {tmp_path / 'train.txt'} too; an entry belongs to one split, remove one"
    )
    assert str(error.value) == expected


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"gone.txt: no such split file; the recipe's corpus.splits names it"):
        assign([], {"train": tmp_path / "gone.txt"}, usual_rates=RATES)


def test_split_files_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("p225\np226\n", encoding="utf-8-sig")
    assert read_split(path) == ["p225", "p226"]
    path.write_bytes("# Wörter\np225\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"train.txt: not UTF-8 \(.*\); save it so"):
        read_split(path)
