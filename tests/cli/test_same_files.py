"""Every command sees the same recordings in one folder."""

from pathlib import Path

import pytest
import soundfile

from sqcodec.corpus import folder
from sqcodec.pipeline.measuring.scoring import score_folders
from sqcodec.pipeline.measuring.utterances import find_utterances
from tests.cli.test_code import run
from tests.conftest import speech_like
from tests.pipeline.measuring.test_scoring import SETTINGS

NAMES = ["p1/1", "p1/2", "p2/1"]


@pytest.mark.slow
def test_commands_agree_on_the_recordings_of_a_folder(workplace: Path) -> None:
    for name in ("in/p1/1.WAV", "in/p1/2.snd", "real/p2/1.w64", "in/p1/.hidden.wav", "in/__MACOSX/p1/1.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        form = {".snd": "AU", ".w64": "W64"}.get(Path(name).suffix, "WAV")
        soundfile.write(name, speech_like(8000), 16000, format=form)
    Path("in/p2").symlink_to("../real/p2")
    Path("in/p1/up").symlink_to("..")

    assert run("encode", "in", "codes", "--speaker", "s5", "-q").exit_code == 0
    assert sorted(p.relative_to("codes").with_suffix("").as_posix() for p in Path("codes").rglob("*.sqc")) == NAMES
    assert [utterance.name for utterance in folder.walk(Path("in"), 0.0).utterances] == NAMES
    assert [utterance.name for utterance in find_utterances(Path("in"), None, without=Path("out"))] == NAMES
    assert score_folders(Path("in"), Path("in"), SETTINGS).files == len(NAMES)
