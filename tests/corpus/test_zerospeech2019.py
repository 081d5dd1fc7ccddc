from pathlib import Path

import pytest

from sqcodec.corpus import zerospeech2019
from sqcodec.errors import CorpusError
from sqcodec.recipe import available_recipes

FOLDER = available_recipes()["zerospeech2019"] / "splits"
SPLITS = {split: FOLDER / f"{split}.txt" for split in ("train", "test", "evaluation")}
FILES = [
    "train/unit/S001_1.wav", "train/voice/V001_2.flac", "train/parallel/voice/V001_3.wav",
    "train/parallel/source/S101_3.wav", "test/S021_4.wav", "test/readme.txt",
]  # fmt: skip


def corpus(root: Path) -> None:
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("inside", "language"),
    [("english", "english"), ("2019/english", "english"), ("2019/surprise", "surprise"), (".", "english")],
)
def test_layouts(tmp_path: Path, inside: str, language: str) -> None:
    corpus(tmp_path / inside)
    manifest = zerospeech2019.walk(tmp_path, SPLITS, language=language)
    assert [(u.name, u.speaker, u.split) for u in manifest.utterances] == [
        ("test/S021_4", "S021", "evaluation"),
        ("train/parallel/voice/V001_3", "V001", "test"),
        ("train/unit/S001_1", "S001", "train"),
        ("train/voice/V001_2", "V001", "train"),
    ]
    assert manifest.remarks == ("1 recording(s) are in no split and left out",)  # parallel/source


@pytest.mark.parametrize(
    ("language", "how"),
    [
        ("english", "'sqcodec prep zerospeech2019' with `data` {} and `fetch` downloads it (2.5 GB)"),
        ("surprise", "its archive needs a password: ask for it at https://zerospeech.com, then unpack it into {}"),
    ],
)
def test_nothing_there(tmp_path: Path, language: str, how: str) -> None:
    with pytest.raises(CorpusError) as error:
        zerospeech2019.walk(tmp_path, SPLITS, language=language)
    assert str(error.value) == (
        f"{tmp_path}: got no ZeroSpeech 2019 recordings, expected {language}/ with train/unit/, train/voice/,"
        f" train/parallel/{{source,voice}}/ and test/ with <speaker>_<number>.wav; {how.format(tmp_path)}"
    )
