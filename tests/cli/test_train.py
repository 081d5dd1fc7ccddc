"""`sqcodec train` on a tiny store."""

import errno
import os
import re
import shutil
import signal

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from sqcodec import storage
from sqcodec.cli.main import main
from sqcodec.cli.train import _echo_vocoder, _Progress
from sqcodec.corpus.store import open_store
from sqcodec.model.assembly import build_codec
from sqcodec.model.model_file import save_model
from sqcodec.pipeline.training.run_folder import begin
from sqcodec.recipe import load_recipe
from sqcodec.vocoder.vocoder_header import read_header
from tests.conftest import make_model, speech_like
from tests.train.conftest import SMALL, make_store
from tests.train.vocoder.conftest import ISTFT, WORLD, make_sound_store
from tests.train.vocoder.test_joint_trainer import SMALL as JOINT

VOCODERS = {"istft": ISTFT, "world": WORLD}


def invoke(*arguments):
    overrides = [part for value in SMALL for part in ("--set", value)]
    return CliRunner().invoke(main, ["train", "zerospeech2019", *overrides, "--device", "cpu", *map(str, arguments)])


@pytest.mark.slow
def test_train_prints_the_result_and_the_next_command(tmp_path):
    store, run = make_store(tmp_path / "corpus"), tmp_path / "run"
    result = invoke("--features", store, "--out", run, "--seed", 3)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{run}: step 20, test MSE ")
    assert lines[1:] == [
        f"Pictures: {run / 'curves.png'}, {run / 'spectrograms.png'}",
        f"Next: sqcodec encode in.wav out.sqc --model {run}",
    ]
    assert result.stderr.startswith(f"{run}: steps 1 to 20 on cpu, features {store}\n")
    assert "step 20/20: loss " in result.stderr
    assert "seed: 3" in (run / "recipe.yaml").read_text()
    again = invoke("--features", store, "--out", run, "--seed", 3)
    assert again.exit_code == 1
    assert again.stderr == (
        f"Error: {run} holds a training already: add --resume to go on with it, or --out DIR to start another\n"
    )
    resumed = invoke("--features", store, "--out", run, "--seed", 3, "--resume", "--set", "train.steps=25")
    assert resumed.exit_code == 0
    assert "step 25" in resumed.stdout
    # without any --set, a training goes on with the recipe it was begun with
    command = ["train", "zerospeech2019", "--features", str(store), "--out", str(run), "--resume", "--device", "cpu"]
    finished = CliRunner().invoke(main, command)
    assert finished.exit_code == 0, finished.output
    assert "step 25" in finished.stdout
    assert "seed: 3" in (run / "recipe.yaml").read_text()
    assert (run / "model.safetensors").stat().st_mode & 0o044


def test_without_a_store_the_error_names_the_folder_and_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke()
    assert result.exit_code == 1
    assert "data/zerospeech2019" in result.stderr
    assert "sqcodec prep" in result.stderr


def test_wrong_overrides_are_named(tmp_path):
    result = invoke("--set", "train.stepps=3")
    assert result.exit_code == 1
    assert "train.stepps: unknown key (got 3); did you mean train.steps?" in result.stderr


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            "train.steps=500",
            "quantizer.warmup_steps 800: expected fewer than train.steps 500, or the codebooks",
        ),
        (
            "quantizer.freeze_step=800",
            "quantizer.freeze_step 800: expected more than quantizer.warmup_steps 800, or the codebooks",
        ),
        ("bit_rate=399", "bit_rate 399: expected at least 400, the rate of one codebook"),
    ],
)
def test_what_would_make_no_model_is_refused_at_once(tmp_path, setting, text):
    done = CliRunner().invoke(
        main, ["train", "speech16k", "--features", "none", "--out", str(tmp_path), "--set", setting]
    )
    assert done.exit_code == 1
    assert f"recipe speech16k: {text}" in done.stderr


@pytest.mark.slow
def test_sigterm_saves_and_names_resume(tmp_path, monkeypatch):
    store, run = make_store(tmp_path / "corpus"), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("sqcodec.cli.train._echo_model", lambda entry, steps: os.kill(os.getpid(), signal.SIGTERM))
        result = invoke("--features", store, "--out", run)
    assert (result.exit_code, result.stderr.partition("store\n")[2]) == (
        1,
        f"Error: stopped at step 5 of 20, all saved in {run}; the same command with --resume goes on from here\n",
    )
    assert invoke("--features", store, "--out", run, "--resume").exit_code == 0


def test_a_nonfinite_loss_stops_with_step_and_cause(tmp_path):
    store = make_store(tmp_path / "corpus")
    result = invoke("--features", store, "--out", tmp_path / "run", "--set", "train.learning_rate=1e30")
    assert result.exit_code == 1
    assert re.match(
        r"Error: the loss is not finite at step \d+ \(reconstruction .*\): most often train.learning_rate \(1e\+30\) is"
        r" too high. Change it with --set and train again\n$",
        result.stderr.partition("store\n")[2],
    )


def test_missing_checkpoint_and_missing_device_are_errors(tmp_path):
    store, run = make_store(tmp_path / "corpus"), tmp_path / "run"
    result = invoke("--features", store, "--out", run, "--resume")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {run / 'checkpoint.pt'}: there is no checkpoint to resume from;"
        " leave --resume out to start a training\n",
    )
    result = invoke("--features", store, "--out", run, "--device", "tpu")
    assert (result.exit_code, result.stderr) == (1, "Error: device 'tpu': expected auto, cpu, cuda or cuda:N\n")


def vocoder(kind, *arguments, exit_code=0):
    overrides = [part for value in VOCODERS[kind] for part in ("--set", value)]
    command = ["train", kind, "--stage", "vocoder", *overrides, "--device", "cpu", *map(str, arguments)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == exit_code, result.output
    return result


@pytest.mark.slow
def test_the_vocoder_stage_trains_resumes_and_is_found(tmp_path):
    store, run = make_sound_store(tmp_path / "corpus"), tmp_path / "run"
    result = vocoder("istft", "--features", store, "--out", run)
    first, last = result.stdout.splitlines()
    assert re.fullmatch(re.escape(f"{run}/vocoder: step 8, test mel distance ") + r"[\d.]+, test pesq [\d.]+", first)
    assert last == f"Next: sqcodec vocode in.wav out.wav --vocoder {run}/vocoder"
    assert "step 8: mel " in result.stderr
    again = vocoder("istft", "--features", store, "--out", run, exit_code=1)
    assert again.stderr.startswith(f"Error: {run}/vocoder holds a training already: add --resume")
    longer = vocoder("istft", "--features", store, "--out", run, "--resume", "--set", "vocoder.train.steps=10")
    assert f"{run}/vocoder: step 10" in longer.stdout
    soundfile.write(tmp_path / "in.wav", speech_like(8000), 16000)
    heard = CliRunner().invoke(
        main, ["vocode", str(tmp_path / "in.wav"), str(tmp_path / "o.wav"), "--vocoder", str(run)]
    )
    assert heard.stdout == f"{tmp_path}/o.wav: 0.50 s at 16000 Hz, istft, log-mel\n"


@pytest.mark.slow
def test_on_codec_fine_tunes_the_vocoder(tmp_path):
    store, run = make_sound_store(tmp_path / "corpus", kind="paper-mel"), tmp_path / "run"
    codec = make_model(run / "model.safetensors", speakers=("someone",))
    paper = ("--features", store, "--out", run, "--set", "features.kind=paper-mel")
    early = vocoder("istft", *paper, "--on", "codec", exit_code=1)
    assert "run/vocoder: no vocoder to go on with; train one first (--stage vocoder)" in early.stderr
    vocoder("istft", *paper)
    result = vocoder("istft", *paper, "--on", "codec")
    assert result.stdout.startswith(f"{run}/vocoder-on-codec: step 8")
    header = read_header(run / "vocoder-on-codec" / "vocoder.safetensors")
    assert (header.codec, header.step) == (codec.fingerprint, 8)
    coded = np.load(next((run / "vocoder-on-codec").glob("train-*.npy")))
    natural = open_store(store).splits["train"].features
    assert coded.shape == natural.shape
    assert 0.01 < np.abs(coded.astype(float) - natural).mean() < 1
    made = (run / "vocoder-on-codec" / "vocoder.safetensors").read_bytes()
    shutil.rmtree(run / "vocoder-on-codec")
    vocoder("istft", *paper, "--on", "codec", "--from", run)  # what the help states as the default
    assert (run / "vocoder-on-codec" / "vocoder.safetensors").read_bytes() == made
    stranger = make_sound_store(tmp_path / "strangers", kind="paper-mel")
    make_model(run / "model.safetensors", speakers=("other",))
    shutil.rmtree(run / "vocoder-on-codec")
    refused = vocoder("istft", "--features", stranger, *paper[2:], "--on", "codec", exit_code=1)
    assert refused.stderr == (
        f"Error: {run}/model.safetensors: knows no speaker of the store's training split; choose the store it was"
        " trained on\n"
    )


@pytest.mark.slow
def test_decoder_and_vocoder_train_together(tmp_path):
    store, run = make_sound_store(tmp_path / "corpus"), tmp_path / "run"
    words = [word for change in JOINT for word in ("--set", change)]

    def train(*arguments, exit_code=0, words=words):
        command = ["train", "speech16k", "--features", store, "--out", run, "--device", "cpu", *words, *arguments]
        result = CliRunner().invoke(main, [*map(str, command)])
        assert result.exit_code == exit_code, result.output
        return result

    early = train("--stage", "joint", exit_code=1)
    assert early.stderr.startswith(f"Error: {run}/model.safetensors: no such model")
    run.mkdir(exist_ok=True)
    save_model(run / "model.safetensors", build_codec(load_recipe("speech16k", JOINT).codec), 0)
    train("--stage", "vocoder")
    lone = train("--stage", "live", "--set", "joint.live={decoder_lookahead: 0, vocoder: {}}", exit_code=1)
    assert lone.stderr.startswith(f"Error: {run}/joint/model.safetensors: not there; --stage live goes on from --stage")
    first, last = train("--stage", "joint", "--seed", "3").stdout.splitlines()
    assert first.startswith(f"{run}/joint: step 8, test mel distance ")
    assert last == f"Next: sqcodec encode in.wav out.sqc --model {run}/joint"
    assert load_recipe(str(run / "joint" / "recipe.yaml")).joint_vocoder.train.seed == 3
    more = train("--stage", "vocoder", "--resume", "--set", "vocoder.train.steps=20")
    assert f"{run}/joint came of what was made before; remove that, and train it anew after this\n" in more.stderr
    again = train("--stage", "joint", exit_code=1)
    assert again.stderr.startswith(f"Error: {run}/joint holds a training already: add --resume")
    without = train("--stage", "live", exit_code=1)
    assert without.stderr.startswith("Error: recipe speech16k has no section 'joint.live'; recipe speech16k shows one")
    live = ("--set", "joint.live={decoder_lookahead: 0, vocoder: {train: {steps: 3}}}")
    assert train("--stage", "live", *live).stdout.startswith(f"{run}/live: step 3, test mel distance ")
    assert load_recipe(str(run / "live" / "recipe.yaml")).joint.decoder_lookahead == 0
    more = train("--stage", "live", "--resume", "--set", "joint.live.vocoder.train.steps=4", words=())
    assert more.stdout.startswith(f"{run}/live: step 4, test mel distance ")
    soundfile.write(tmp_path / "in.wav", speech_like(8000), 16000)
    for model, target in ((run, "a.sqc"), (run / "joint", "b.sqc"), (run / "live", "c.sqc")):
        command = ["encode", tmp_path / "in.wav", tmp_path / target, "--model", model]
        assert CliRunner().invoke(main, [*map(str, command)]).exit_code == 0
    assert len({(tmp_path / name).read_bytes() for name in ("a.sqc", "b.sqc", "c.sqc")}) == 1
    command = ["decode", tmp_path / "b.sqc", tmp_path / "o.wav", "--model", run / "joint"]
    decoded = CliRunner().invoke(main, [*map(str, command)])
    assert decoded.exit_code == 0, decoded.output
    assert train("--stage", "contrast").stdout.splitlines() == [
        f"{run}/contrast: the model of {run} and its vocoder with contrast 0.9",
        f"Next: sqcodec decode in.sqc out.wav --model {run}/contrast",
    ]
    command = ["decode", tmp_path / "b.sqc", tmp_path / "s.wav", "--model", run / "contrast"]
    sharp = CliRunner().invoke(main, [*map(str, command)])
    assert sharp.exit_code == 0, sharp.output
    files = [run / stage / "model.safetensors" for stage in ("", "contrast")]
    assert files[0].read_bytes() == files[1].read_bytes()
    none = train("--stage", "contrast", "--set", "contrast=null", exit_code=1)
    assert "recipe speech16k has no key 'contrast'; recipe speech16k shows one" in none.stderr
    for option in (("--resume",), ("--seed", "1")):
        refused = train("--stage", "contrast", *option, exit_code=2).stderr
        assert "--stage contrast trains nothing, it only measures" in refused


def test_vocoder_options_need_the_vocoder_stage(tmp_path):
    assert "--on codec needs --stage vocoder." in invoke("--on", "codec").stderr
    assert (
        "--from needs --on codec, --stage joint or --stage live."
        in vocoder("istft", "--from", tmp_path, exit_code=2).stderr
    )


def test_compile_needs_the_model_stage():
    result = CliRunner().invoke(main, ["train", "istft", "--stage", "vocoder", "--compile"])
    assert result.exit_code == 2
    assert "--compile needs --stage model." in result.stderr


def test_a_training_of_days_is_announced(capsys):
    """The paper's network on a CPU: what is begun, how long it takes, and what to set for less."""
    progress = _Progress(begin("vctk", stage="model"), "cpu", lambda what, done, total: None)
    progress(0, 500_000)
    begun, advice = capsys.readouterr().err.splitlines()
    assert begun == "runs/vctk: steps 1 to 500000 on cpu, features data/vctk"
    assert advice.startswith("on a CPU 500000 steps of this network take days, about 0.7 s each on two cores; --set tr")
    progress(1, 500_000)
    assert capsys.readouterr().err == ""


def test_the_other_processes_of_torchrun_are_silent(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    _Progress(begin("vctk", stage="model"), "cpu", lambda what, done, total: None)(0, 500_000)
    assert capsys.readouterr() == ("", "")


def test_collapsed_discriminators_are_named_with_a_remedy(capsys):
    _echo_vocoder({"step": 500, "mel": 0.5, "periods": 0.0001, "collapsed": ["periods"]})
    assert capsys.readouterr().err == (
        "step 500: mel 0.500, periods 0.000\n"
        "step 500: the discriminators by periods have collapsed: with a loss of 0.0001 they separate all recordings"
        " from synthesised sound and give no gradient; lower vocoder.discriminators.learning_rate\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("writes", range(6))
def test_a_full_disk_is_one_error_and_the_training_goes_on(tmp_path, monkeypatch, writes):
    """The disk is full after so many files: recipe, log, checkpoint, model and so on."""
    store, run, settle, written = make_store(tmp_path / "corpus"), tmp_path / "run", storage._settle, []

    def full(path):
        written.append(path)
        if len(written) > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        settle(path)

    monkeypatch.setattr(storage, "_settle", full)
    result = invoke("--features", store, "--out", run)
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert errors[0].endswith(": cannot be written: No space left on device")
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob(".*.draft"))
    monkeypatch.undo()
    resume = ("--resume",) if (run / "checkpoint.pt").is_file() else ()
    assert invoke("--features", store, "--out", run, *resume).exit_code == 0
    assert (run / "model.safetensors").is_file()
