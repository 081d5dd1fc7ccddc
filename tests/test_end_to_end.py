"""The four commands, word for word but for a smaller and shorter training, on the speech that ships.

What ships is in place, as it is for every user.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner

import sqcodec
from sqcodec.cli.main import main
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.recipe import find_recipe, load_recipe
from tests.train.conftest import SMALL
from tests.train.vocoder.conftest import ISTFT

pytestmark = pytest.mark.ships

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
    succeeds("prep", recipe, "--jobs", 1)
    trained = succeeds("train", f"recipes/{recipe}", "--device", "cpu", *SHORT.split())
    assert trained.stdout.endswith("Next: sqcodec encode in.wav out.sqc\n")
    encoded = succeeds("encode", "in.wav", "codes.npy")
    why = "trained here; --model speech16k is the one that ships"
    assert encoded.stdout.endswith(f", model runs/{recipe}, {why}\n")
    decoded = succeeds("decode", "codes.npy", "out.wav")
    assert decoded.stdout.endswith(f", model runs/{recipe}\n")
    assert f"* runs/{recipe}: " in succeeds("models").stdout
    assert sqcodec.load().path.parent.name == "speech16k"  # a program does not depend on its folder
    assert sqcodec.load(recipe).path == Path("runs") / recipe / "model.safetensors"
    decoded, decoded_rate = soundfile.read("out.wav")
    assert decoded_rate == 16000
    assert len(decoded) == -(-len(samples) * 16000 // rate)
    assert np.isfinite(decoded).all()
    assert 0 < np.abs(decoded).max() <= 1.0
    indices = np.load("codes.npy", allow_pickle=False)
    assert indices.dtype == np.uint16
    assert indices.shape == (1, math.ceil(math.ceil((len(decoded) + 80) / 160) / 2))


RECORDINGS = SPEECH / "VCTK-Corpus-0.92" / "wav48_silence_trimmed"


def succeeds(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result


def fails(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1, (arguments, result.output, result.exception)
    return result.stderr


@pytest.mark.slow
def test_a_recipe_with_a_codec_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = yaml.safe_load(find_recipe("folder").read_text()) | {"name": "mine"}
    del tree["vocoder"]
    Path("mine.yaml").write_text(yaml.safe_dump(tree))
    prepared = succeeds("prep", "mine.yaml", "--data", RECORDINGS, "--jobs", 1)
    assert prepared.stdout.endswith("next: sqcodec train mine.yaml\n")
    succeeds("train", "mine.yaml", "--device", "cpu", *SHORT.split())
    source = sorted(RECORDINGS.rglob("*.flac"))[0]
    succeeds("encode", source, "codes.sqc")
    succeeds("decode", "codes.sqc", "out.wav")
    assert np.isfinite(soundfile.read("out.wav")[0]).all()
    codec = open_codec(Path("runs/mine/model.safetensors"), "cpu")
    assert codec.model.recipe.vocoder is None
    assert codec.vocoder(None).vocoder.settings == load_recipe("folder").vocoder  # Griffin-Lim with its settings
    assert fails("train", "mine.yaml", "--stage", "vocoder") == (
        "Error: recipe mine has no section 'vocoder'; recipes istft and world show one\n"
    )


@pytest.mark.slow
def test_a_recipe_with_a_vocoder_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepared = succeeds("prep", "recipes/istft", "--data", RECORDINGS, "--jobs", 1)
    assert prepared.stdout.endswith("next: sqcodec train recipes/istft --stage vocoder\n")
    for stage in ((), ("--stage", "prior")):
        assert fails("train", "recipes/istft", *stage).startswith("Error: recipe istft has no codec (sections ")
    short = [part for change in ISTFT for part in ("--set", change)]
    succeeds("train", "recipes/istft", "--stage", "vocoder", "--device", "cpu", *short)
    source = sorted(RECORDINGS.rglob("*.flac"))[0]
    assert "istft, log-mel" in succeeds("vocode", source, "out.wav", "--vocoder", "runs/istft").stdout
    assert np.isfinite(soundfile.read("out.wav")[0]).all()
