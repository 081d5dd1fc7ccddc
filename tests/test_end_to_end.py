"""The four commands, word for word but for a smaller and shorter training, on the speech that ships."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from sqcodec.cli.main import main
from tests.train.conftest import SMALL

SPEECH = Path(__file__).parents[1] / "recipes" / "tiny" / "speech"
SHORT = " ".join(f"--set {value}" for value in (*SMALL, "train.frames=32")).replace("[12]", "[]")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "root", "corpus", "recording"),
    [
        ("vctk", "VCTK-Corpus-0.92", "VCTK-Corpus-0.92", "wav48_silence_trimmed/p225/p225_001_mic1.flac"),
        ("zerospeech2019", "2019", "2019", "english/test"),
    ],
)
def test_prep_train_encode_decode(recipe, root, corpus, recording, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    Path(root).symlink_to(SPEECH / corpus)
    source = Path(root) / recording
    if source.is_dir():
        source = min(source.iterdir(), key=lambda path: soundfile.info(path).frames)  # the shortest, about 0.09 s
        assert soundfile.info(source).duration < 0.1
    samples, rate = soundfile.read(source)
    soundfile.write("in.wav", samples, rate)
    for command in (
        f"prep {recipe} --jobs 1",
        f"train recipes/{recipe} --device cpu {SHORT}",
        "encode in.wav codes.npy",
        "decode codes.npy out.wav",
    ):
        result = CliRunner().invoke(main, command.split())
        assert result.exit_code == 0, (command, result.output, result.exception)
    decoded, decoded_rate = soundfile.read("out.wav")
    assert decoded_rate == 16000
    assert len(decoded) == -(-len(samples) * 16000 // rate)
    assert np.isfinite(decoded).all()
    assert 0 < np.abs(decoded).max() <= 1.0
    indices = np.load("codes.npy", allow_pickle=False)
    assert indices.dtype == np.uint16
    assert indices.shape == (1, math.ceil(math.ceil((len(decoded) + 80) / 160) / 2))
