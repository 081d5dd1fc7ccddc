from pathlib import Path

import pytest

from sqcodec.corpus import vctk
from sqcodec.corpus.splits import read_split
from sqcodec.errors import CorpusError
from sqcodec.recipe import available_recipes

SPLITS = {split: available_recipes()["vctk"] / "splits" / f"{split}.txt" for split in ("train", "test", "unseen")}


def corpus(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def release_092(root: Path) -> Path:
    both = ["p225/p225_001", "p225/p225_006", "s5/s5_001", "p360/p360_003"]
    return corpus(
        root,
        *(f"wav48_silence_trimmed/{name}_mic{mic}.flac" for name in both for mic in (1, 2)),
        "wav48_silence_trimmed/p280/p280_007_mic1.flac",
        "wav48_silence_trimmed/p315/p315_001_mic1.flac",
        "wav48_silence_trimmed/p225/p225_007_mic1.flac",
        "wav48_silence_trimmed/log.txt",
        "txt/p225/p225_001.txt",
    )


def test_release_092_microphone_1(tmp_path: Path) -> None:
    manifest = vctk.walk(release_092(tmp_path), SPLITS, microphone=1)
    assert {u.name: (u.speaker, u.split) for u in manifest.utterances} == {
        "p225_001": ("p225", "test"),
        "p225_006": ("p225", "train"),
        "p225_007": ("p225", "train"),
        "p280_007": ("p280", "train"),
        "p315_001": ("p315", "test"),
        "p360_003": ("p360", "unseen"),
        "s5_001": ("s5", "unseen"),
    }
    assert manifest.left_out == ()
    assert all(u.path.name == f"{u.name}_mic1.flac" for u in manifest.utterances)


def test_microphone_2_leaves_out_what_it_did_not_record(tmp_path: Path) -> None:
    manifest = vctk.walk(release_092(tmp_path), SPLITS, microphone=2)
    assert {u.name for u in manifest.utterances} == {"p225_001", "p225_006", "p360_003", "s5_001"}
    assert manifest.left_out == (
        ("p225_007", "no microphone 2", "only microphone 1 recorded it"),
        ("p280", "no microphone 2", "only microphone 1 recorded this speaker"),
        ("p315", "no microphone 2", "only microphone 1 recorded this speaker"),
    )


def test_release_080_and_the_folder_around_the_corpus(tmp_path: Path) -> None:
    corpus(tmp_path, "VCTK-Corpus/wav48/p225/p225_001.wav", "VCTK-Corpus/wav48/p226/p226_009.wav")
    manifest = vctk.walk(tmp_path, SPLITS, microphone=1)
    assert [(u.name, u.split) for u in manifest.utterances] == [("p225_001", "test"), ("p226_009", "train")]
    with pytest.raises(CorpusError) as error:
        vctk.walk(tmp_path, SPLITS, microphone=2)
    assert str(error.value) == (
        f"{tmp_path / 'VCTK-Corpus/wav48'}: got no recordings of microphone 2 (release 0.80 has one);"
        " use `overrides` corpus.microphone=1"
    )


def test_nothing_there_names_folder_contents_and_command(tmp_path: Path) -> None:
    for root, got in [(tmp_path, "no VCTK recordings"), (tmp_path / "gone", "no such folder")]:
        with pytest.raises(CorpusError) as error:
            vctk.walk(root, SPLITS, microphone=1)
        assert str(error.value) == (
            f"{root}: got {got}, expected wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic1.flac (release 0.92)"
            " or wav48/<speaker>/*.wav (release 0.80);"
            f" 'sqcodec prep vctk' with `data` {root} and `fetch` downloads it (10.9 GiB)"
        )


def test_split_lists_cover_110_speakers_once() -> None:
    train, unseen, test = (read_split(SPLITS[split]) for split in ("train", "unseen", "test"))
    assert (len(train), len(unseen), len({*train, *unseen})) == (102, 8, 110)
    assert {"p280", "p315"} <= set(train)
    assert test == [f"{speaker}_{number:03d}" for speaker in train for number in range(1, 6)]
