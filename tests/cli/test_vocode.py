"""`sqcodec vocode`: exact length and level; exact texts; which vocoder."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from sqcodec.cli.main import main
from sqcodec.spectrogram import FEATURES
from tests.conftest import speech_like
from tests.vocoder.test_vocoder_file import saved

ISTFT = Path("runs/a/vocoder/vocoder.safetensors")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like(40_001), 16000)


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, ["vocode", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.mark.parametrize("features", ["log-mel", "paper-mel"])
def test_griffin_lim_keeps_length_and_level(features) -> None:
    result = run("in.wav", "out.wav", "--features", features)
    assert (result.stdout, result.stderr) == (f"out.wav: 2.50 s at 16000 Hz, griffin-lim, {features}\n", "")
    (x, _), (y, rate) = soundfile.read("in.wav"), soundfile.read("out.wav")
    assert (rate, len(y)) == (16000, 40_001)
    assert abs(20 * np.log10(np.std(y) / np.std(x))) < 1


def test_a_vocoder_with_weights_is_the_default_and_can_be_named() -> None:
    saved(ISTFT, "istft", FEATURES["paper-mel"])
    assert run("in.wav", "out.wav").stdout == "out.wav: 2.50 s at 16000 Hz, griffin-lim, log-mel\n"
    named = run("in.wav", "out.wav", "--vocoder", "a")
    assert named.stdout == "out.wav: 2.50 s at 16000 Hz, istft, paper-mel\n"
    assert "using" not in named.stderr
    found = run("in.wav", "out.wav", "--features", "paper-mel")
    assert found.stdout == "out.wav: 2.50 s at 16000 Hz, istft, paper-mel\n"
    assert found.stderr.splitlines()[0] == f"using {ISTFT} (istft)"
    refused = run("in.wav", "other.wav", "--vocoder", "a", "--features", "log-mel", exit_code=1)
    assert refused.stderr.startswith(
        f"Error: {ISTFT}: a vocoder for paper-mel features (n_fft 2048 where 1024 is given"
    )
    assert refused.stderr.endswith("choose a vocoder for log-mel, or griffin-lim, which takes every kind\n")
    assert not Path("other.wav").exists()


def test_silence_stays_silence_and_other_rates_become_16_khz() -> None:
    soundfile.write("silent.wav", np.zeros(4410), 44100)
    assert run("silent.wav", "out.wav", "--vocoder", "griffin-lim").stdout.startswith("out.wav: 0.10 s at 16000 Hz")
    y, _ = soundfile.read("out.wav")
    assert (len(y), np.abs(y).max()) == (1600, 0.0)


def test_errors_are_one_line_and_leave_no_file() -> None:
    assert run("in.wav", "out.wav", "--vocoder", "hifi", exit_code=1).stderr == (
        "Error: vocoder 'hifi': no such file, and none at hifi/vocoder/vocoder.safetensors or"
        " runs/hifi/vocoder/vocoder.safetensors; expected istft, world, griffin-lim, a vocoder.safetensors or a run"
        " folder\n"
    )
    assert run("none.wav", "out.wav", exit_code=1).stderr.startswith("Error: none.wav: missing: no such file")
    assert run("in.wav", "in.wav", exit_code=1).stderr == (
        "Error: in.wav: input and output are the same file; write to another name\n"
    )
    assert run("in.wav", "out.xyz", exit_code=1).stderr.startswith("Error: out.xyz: unknown suffix '.xyz'")
    assert run("in.wav", "out.wav", "--features", "mfcc", exit_code=2)
    assert not list(Path().glob("out*"))
