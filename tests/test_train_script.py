"""bin/train-speech16k, from the speech that ships to files that code: small networks, a few steps."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from safetensors import safe_open

from sqcodec.errors import RecipeError, TrainingError
from sqcodec.model import model_header
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.training.make_model import make_model
from sqcodec.train.log import read_log
from sqcodec.vocoder.vocoder_header import read_header

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SPEECH = ROOT / "recipes" / "tiny" / "speech" / "VCTK-Corpus-0.92" / "wav48_silence_trimmed"
SHORT = (
    "train.steps=6", "train.batch=2", "train.frames=32", "train.evaluate_every=6", "train.milestones=[4]",
    "train.log_every=1", "quantizer.codewords=16", "quantizer.dim=8", "quantizer.stages=4", "quantizer.warmup_steps=2",
    "quantizer.freeze_step=4", "network.dim=16", "network.hidden=32", "vocoder.dim=16", "vocoder.hidden=32",
    "vocoder.layers=2", "vocoder.train.steps=3", "vocoder.train.batch=2", "vocoder.train.frames=60",
    "vocoder.train.log_every=1", "vocoder.train.evaluate_every=3", "vocoder.train.evaluate_files=1",
    "vocoder.on_codec.train.steps=5", "vocoder.discriminators.margins=[0, 0]",
    "joint.vocoder.train={steps: 4, learning_rate: 3.0e-4}", "joint.live.vocoder.train={steps: 5}",
    "context.hidden=12", "context.width=8", "context.frames=16",
    "context.batch=4", "context.steps=4", "context.evaluate_every=4", "context.warmup=2", "context.searched.steps=4",
)  # fmt: skip


def train(folder: Path, *changes: str) -> "subprocess.CompletedProcess[str]":
    words = [word for change in (*SHORT, *changes) for word in ("--set", change)]
    command = [sys.executable, ROOT / "bin" / "train-speech16k", SPEECH, "--out", "models", "--device", "cpu", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def last_step(folder: Path) -> int:
    return read_log(folder / "log.jsonl")[-1]["step"]


@pytest.mark.skipif(not (ROOT / ".venv" / "bin" / "python").is_file(), reason="bin/setup did not make the environment")
def test_it_needs_no_activated_environment(tmp_path: Path) -> None:
    """As bin/test and bin/quickstart: any Python of the machine may start it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [sys._base_executable, "-S", ROOT / "bin" / "train-speech16k", tmp_path / "nothing"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "nothing: got no recordings, expected <speaker>/<utterance>.wav" in done.stderr


@pytest.mark.parametrize("recipe", ["istft", "vctk"])
def test_a_recipe_without_both_is_refused_before_the_first_step(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"has no codec \(|has no vocoder that is trained; recipes istft and world"):
        make_model(recipe, SPEECH, tmp_path / "work", tmp_path / "out", device="cpu", jobs=1, report=print)
    assert not list(tmp_path.iterdir())


def test_a_place_where_nothing_can_be_written_is_found_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(TrainingError, match=r"out/speech16k: no folder can be made there: Not a directory"):
        make_model("speech16k", SPEECH, tmp_path / "work", tmp_path / "out", device="cpu", jobs=1, report=print)
    assert not (tmp_path / "work").exists()


def test_from_speech_to_what_ships(tmp_path: Path) -> None:
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "models/speech16k, models/speech16k-live, models/istft: written",
        "Next: sqcodec encode in.wav codes.sqc --model models/speech16k",
    ]
    files = sorted((tmp_path / "models").rglob("*.safetensors"))
    assert [str(path.relative_to(tmp_path / "models")) for path in files] == [
        "istft/vocoder/vocoder.safetensors",
        "speech16k/model.safetensors",
        "speech16k/vocoder/vocoder.safetensors",
        "speech16k-live/model.safetensors",
        "speech16k-live/vocoder/vocoder.safetensors",
    ]
    tuned = tmp_path / "work-speech16k" / "on-codec"
    assert files[1].read_bytes() == (tuned / "joint" / "model.safetensors").read_bytes()
    check_the_contrast_of_what_ships(tuned / "joint" / "vocoder" / files[2].name, files[2])
    check_the_contrast_of_what_ships(tuned / "live" / "vocoder" / files[4].name, files[4])
    check_what_is_live_learned_together(tuned, files[3])
    samples = soundfile.read(next(SPEECH.rglob("*_mic1.flac")), dtype="float32", stop=30_000)[0]
    codes = open_codec(files[1], "cpu").encode(samples, 16000, codebooks=2)
    for model, vocoder in (files[1:3], files[3:5]):
        codec = open_codec(model, "cpu")
        assert codec.space.context is not None
        assert codec.fingerprint == codes.fingerprint == read_header(vocoder).codec
        decoded = codec.decode(codes, vocoder=str(vocoder))
        assert len(decoded) == 30_000
        assert np.isfinite(decoded).all()
    check_both_trainings_of_the_vocoder(tmp_path / "work-speech16k")
    again = train(tmp_path)  # everything is there: nothing is trained
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
    assert "step" in done.stderr
    assert "step" not in again.stderr
    more = train(tmp_path, "joint.live.vocoder.train={steps: 6}")  # one training has a step to go
    assert more.returncode == 0, more.stderr
    assert [line.partition(":")[0] for line in more.stderr.splitlines() if "step" in line] == ["live, step 6"]
    check_no_stage_leaves_those_after_it_behind(tmp_path)
    check_what_is_finished_is_not_taken_for_another(tmp_path)


def check_what_is_finished_is_not_taken_for_another(folder: Path) -> None:
    """Other values or other speech than it was trained with: no file ships as if they had counted."""
    work, tuned = folder / "work-speech16k", folder / "work-speech16k" / "on-codec"
    shipped = {path: path.stat().st_mtime_ns for path in (folder / "models").rglob("*.safetensors")}
    same = (*SHORT, "joint.live.vocoder.train={steps: 6}")

    def make(*changes: str, speech: Path = SPEECH) -> None:
        make_model(
            "speech16k", speech, work, folder / "models", device="cpu", jobs=1, report=lambda _: None, overrides=changes
        )

    for change, stage, difference in (
        ("train.learning_rate=0.01", work / "speech16k", "train.learning_rate 0.001, not 0.01"),
        ("vocoder.losses.mel=3.0", work / "speech16k" / "vocoder", "vocoder.losses.mel 45.0, not 3.0"),
        ("bit_rate=800", work / "speech16k", "bit_rate 1600.0, not 800.0"),
        ("context.weight_decay=0.5", tuned / "context", "context.weight_decay 0.01, not 0.5"),
        ("context.steps=40", tuned / "context", "context.steps 4, not 40"),
        ("vocoder.on_codec.train.clip=3.0", tuned / "vocoder-on-codec", "vocoder.train.clip 50.0, not 3.0"),
        ("joint.mel=3.0", tuned / "joint", "joint.mel 30.0, not 3.0"),
        ("contrast=0.3", tuned / "joint", "contrast 0.9, not 0.3"),
        ("joint.live.decoder_lookahead=0", tuned / "live", "joint.decoder_lookahead 1, not 0"),
    ):
        with pytest.raises(TrainingError) as caught:
            make(*same, change)
        removed = tuned if stage == tuned / "context" else stage
        advice = f"take that back, or remove {removed} to train it anew"
        assert str(caught.value) == f"{stage}: is finished, with {difference}; {advice}"
    with pytest.raises(TrainingError, match=r"has a context model, but the recipe has none; remove .*on-codec to make"):
        make(*same, "context=null")
    (tuned / "context").rename(folder / "gone")
    with pytest.raises(TrainingError, match=r"a context model, but .*context is gone; remove .*on-codec to make it"):
        make(*same)
    (folder / "gone").rename(tuned / "context")
    assert {path: path.stat().st_mtime_ns for path in shipped} == shipped
    make(*same, "train.log_every=3", "vocoder.train.evaluate_files=2", "vocoder.train.steps=2")  # the same weights
    fewer = folder / "fewer"
    shutil.copytree(SPEECH, fewer)
    next(fewer.rglob("*_mic1.flac")).unlink()
    with pytest.raises(TrainingError, match=r"/speech16k: is finished, and learned from other recordings or features"):
        make(*same, speech=fewer)
    shutil.rmtree(tuned)
    with pytest.raises(TrainingError, match=r"/speech16k: was begun, with train.clip 1.0, not 2.0; take that back, or"):
        make(*SHORT, "train.steps=8", "train.clip=2.0")


def check_no_stage_leaves_those_after_it_behind(folder: Path) -> None:
    """What was made from a training is not shipped as if it were made from that training's further steps."""
    tuned = Path("work-speech16k") / "on-codec"
    for change, later in (
        ("train.steps=8", f"{tuned}"),
        ("vocoder.train.steps=4", f"{tuned / 'vocoder-on-codec'} and {tuned / 'joint'} and {tuned / 'live'}"),
        ("vocoder.on_codec.train.steps=6", f"{tuned / 'joint'} and {tuned / 'live'}"),
        ("joint.vocoder.train={steps: 6}", f"{tuned / 'live'}"),
    ):
        refused = train(folder, change)
        assert refused.returncode == 1
        text = f"has steps to do, but {later} came of it before; remove that to make what follows anew"
        assert refused.stderr.splitlines()[-1].endswith(text), refused.stderr


def check_what_is_live_learned_together(tuned: Path, model: Path) -> None:
    """The decoder of streams is the one of the last training, with less look-ahead, and began with that of files."""
    assert (last_step(tuned / "joint"), last_step(tuned / "live")) == (4, 5)
    folders = (tuned / "live", tuned / "joint", tuned)
    (_, whole), (_, before), (_, first) = (model_header.read_whole(folder / model.name) for folder in folders)
    learned = {name.split(".")[0] for name, array in before.items() if not np.array_equal(array, first[name])}
    assert learned == {"decoder"}
    with safe_open(model, "numpy") as file:
        stored = set(file.keys())
    changed = {name for name, array in whole.items() if not np.array_equal(array, before[name])}
    assert stored == changed
    assert stored
    assert all(name.startswith("decoder.") for name in stored)
    header, shared = model_header.read_model(model).header, model_header.read_whole(model)[1]
    assert shared.keys() == whole.keys()
    assert all(np.array_equal(array, whole[name]) for name, array in shared.items())
    assert header.recipe["network"]["decoder_lookahead"] == 1


def check_the_contrast_of_what_ships(trained: Path, shipped: Path) -> None:
    """It learned with a contrast; that of the target was measured anew, and nothing else differs but by rounding."""
    with safe_open(trained, "numpy") as one, safe_open(shipped, "numpy") as other:
        assert set(other.keys()) == set(one.keys())
        pairs = {name: (one.get_tensor(name).astype(np.float16), other.get_tensor(name)) for name in one.keys()}  # noqa: SIM118
    changed = {name for name, (before, after) in pairs.items() if not np.array_equal(before, after)}
    assert changed == {"contrast"}


def check_both_trainings_of_the_vocoder(work: Path) -> None:
    """The values of the recipe's two sections are those that were trained with."""
    natural, tuned = work / "speech16k" / "vocoder", work / "on-codec" / "vocoder-on-codec"
    assert (last_step(natural), last_step(tuned)) == (3, 5)
    one, other = (yaml.safe_load((folder / "recipe.yaml").read_text())["vocoder"] for folder in (natural, tuned))
    assert (one["train"]["learning_rate"], other["train"]["learning_rate"]) == (1e-3, 5e-4)
    assert (one["train"]["smoothing"], other["train"]["smoothing"]) == (0.1, 0)
    assert (one["refinement"]["fades"], other["refinement"]["fades"]) == (None, [2000.0, 8000.0])
    assert read_header(tuned / "vocoder.safetensors").config["refinement"]["iterations"] == 6
    for folder in (natural, tuned):
        assert not any("adversarial" in entry for entry in read_log(folder / "log.jsonl"))


def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path) -> None:
    words = [word for change in (*SHORT, "train.steps=200") for word in ("--set", change)]
    command = [sys.executable, ROOT / "bin" / "train-speech16k", SPEECH, "--out", "models", "--device", "cpu", *words]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("codec, step "))
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 1
    assert rest.splitlines()[-1] == ("Error: stopped, all saved in work-speech16k; the same command goes on from here")
    stopped = last_step(tmp_path / "work-speech16k" / "speech16k")
    assert int(line.split()[2].rstrip(":")) <= stopped < 200
    done = train(tmp_path, "train.steps=200")
    assert done.returncode == 0, done.stderr
    steps = [line.split()[2].rstrip(":") for line in done.stderr.splitlines() if line.startswith("codec, step ")]
    assert steps == [str(step) for step in range(stopped + 1, 201)]
