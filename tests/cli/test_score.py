"""`sqcodec score` and `sqcodec evaluate`: what they print and refuse."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from sqcodec.cli.main import main
from sqcodec.cli.options import MCD_DEFINITIONS
from sqcodec.metrics import speaker_encoder
from sqcodec.metrics.mcd import DEFINITIONS
from tests.cli.runner import refused
from tests.conftest import speech_like

ABSENT = (
    "Word error rate: left out, no recogniser was named (--asr pocketsphinx, COMMAND or MODEL.onnx)\n"
    "Speaker similarity: left out, no speaker encoder was named (--sv resemblyzer, COMMAND or MODEL.onnx)\n"
    "Predicted MOS: left out, no predictor was named (--mos COMMAND or MODEL.onnx)\n"
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def pairs(workplace: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder in ("ref", "deg"):
        (workplace / folder).mkdir()
        for number in range(2):
            sound = speech_like(24_000, seed=number) + (folder == "deg") * 0.01 * rng.normal(size=24_000)
            soundfile.write(workplace / folder / f"{number}.wav", sound, 16000)
    return workplace


@pytest.fixture
def every_package(monkeypatch) -> None:
    for package in ("pesq", "pystoi", "speechmos", "distillmos"):
        pytest.importorskip(package, reason="the eval extra is not installed")


@pytest.mark.slow
def test_score_prints_a_table(pairs: Path, every_package) -> None:
    result = run("score", "ref", "deg")
    assert result.exit_code == 0, result.output
    assert result.stderr == ABSENT
    head, *lines = result.stdout.splitlines()
    assert head.split("  ")[-1] == "files"
    assert [line.split("  ")[0] for line in lines] == [
        "PESQ wb ↑", "STOI ↑", "ESTOI ↑", "DNSMOS ↑", "DNSMOS P.808 ↑", "DistillMOS ↑", "MCD (textbook) (dB) ↓",
        "F0 RMSE (Hz) ↓", "F0 RMSE (cent) ↓",
        "Gross pitch error (%) ↓", "Voicing error (%) ↓", "Log-spectral distance (dB) ↓", "Multi-res. STFT ↓",
        "SI-SDR (dB) ↑", "Level (dB)", "Delay (ms)",
    ]  # fmt: skip
    assert all(line.endswith(" 2") for line in lines)


@pytest.mark.slow
def test_score_prints_json(pairs: Path, every_package) -> None:
    result = run("score", "ref", "deg", "--json", "--no-align", "--mcd", "versa")
    assert result.exit_code == 0, result.output
    tree = json.loads(result.stdout)
    assert tree["files"] == 2
    assert tree["columns"]["lsd"].keys() == {"mean", "low", "high", "files", "failed", "unit"}
    assert "delay" not in tree["columns"]


@pytest.mark.slow
def test_score_of_two_files(pairs: Path, every_package) -> None:
    result = run("score", "ref/0.wav", "deg/0.wav")
    assert result.exit_code == 0, result.output
    assert "[" not in result.stdout.splitlines()[1]  # one file has no interval


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("none deg", "none: missing: no such folder; expected two folders, or two recordings"),
        ("ref/0.wav none.wav", "none.wav: missing: no such file; expected a recording (WAV, FLAC, Ogg, MP3...)"),
        ("ref runs", "runs: got no recordings, expected .wav, .flac, .ogg, ... in it or below it"),
    ],
)
def test_score_refuses(pairs: Path, arguments, text) -> None:
    result = run("score", *arguments.split())
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {text}\n")


def test_a_recording_that_cannot_be_read_stops_no_other(pairs: Path, monkeypatch) -> None:
    monkeypatch.setattr("sqcodec.pipeline.measuring.scoring.installed_groups", lambda _mcd: [])  # the delay is enough
    Path("deg/0.wav").write_bytes(b"no sound")
    result = run("score", "ref", "deg", "--json")
    assert result.exit_code == 1
    tree = json.loads(result.stdout)
    assert (tree["files"], tree["columns"]["delay"]["files"], list(tree["unread"])) == (1, 1, ["0"])
    assert "Error: 1 recordings could not be read:\n  deg/0.wav: " in result.stderr
    Path("deg/1.wav").write_bytes(b"no sound")
    result = run("score", "ref", "deg")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error: 2 recordings could not be read:\n" in result.stderr


def test_score_takes_a_predictor_of_quality(pairs: Path, monkeypatch) -> None:
    monkeypatch.setattr("sqcodec.pipeline.measuring.scoring.installed_groups", lambda _mcd: [])
    result = run("score", "ref", "deg", "--no-align", "--mos", "sh -c 'echo 3.5'")
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [["Predicted", "MOS", "↑", "3.50", "2"]]


@pytest.mark.slow
def test_evaluate_prints_scores_md(pairs: Path, every_package) -> None:
    result = run("evaluate", "tiny", "--data", "ref", "--out", "results", "--listen", "1", "--mcd", "espnet")
    assert result.exit_code == 0, result.output
    assert result.stderr == ABSENT
    assert result.stdout.endswith("results: 2 files, 1 systems; open results/index.html\n")
    table = result.stdout.rpartition("results: ")[0]
    assert table in Path("results/scores.md").read_text("utf-8")
    assert "| MCD (espnet) (dB) ↓ |" in table


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            "evaluate tiny --data ref --out o --baseline lyra",
            "baseline 'lyra': expected codec2-MODE (3200, 2400, 1600, 1400, 1300, 1200, 700C) or opus-KBPS (6 to 256)",
        ),
    ],
)
def test_evaluate_refuses(pairs: Path, arguments, text) -> None:
    result = run(*arguments.split())
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {text}\n")
    assert not Path("o").exists()


def test_wrong_usage_exits_with_2(workplace: Path) -> None:
    assert run("score", "ref").exit_code == 2
    assert run("score", "ref", "deg", "--mcd", "other").exit_code == 2
    assert run("evaluate", "tiny", "--data", "x").exit_code == 2
    result = run("evaluate", "tiny", "--out", "o")
    assert result.exit_code == 2
    assert "Error: give the recordings: --data DIR, --list TSV, or both.\n" in result.stderr
    result = run("evaluate", "tiny", "--out", "o", "--protocol", "test-clean", "--list", "l.tsv")
    assert result.exit_code == 2
    assert "Error: --protocol takes the folder of LibriSpeech, --data DIR, and no --list.\n" in result.stderr


def test_mcd_choices_match_the_metric() -> None:
    assert MCD_DEFINITIONS == DEFINITIONS  # the command line cannot import them: it would import NumPy


@pytest.mark.slow
def test_evaluate_fails_where_a_recording_cannot_be_read(pairs: Path, monkeypatch) -> None:
    monkeypatch.setattr("sqcodec.pipeline.measuring.scoring.installed_groups", lambda _mcd: [])  # the delay is enough
    (pairs / "ref" / "broken.wav").write_bytes(b"RIFF")
    result = run("evaluate", "tiny", "--data", "ref", "--out", "results", "--listen", "0")
    assert result.exit_code == 1
    assert "could not be coded and are in no mean: tiny, broken: " in result.stderr  # the note
    count = len(list((pairs / "ref").glob("*.wav")))
    assert f"Error: 1 of {count} could not be coded and are in no mean; the notes say which" in result.stderr
    assert Path("results/scores.md").read_text("utf-8").count("|")  # the others have been scored


@pytest.mark.parametrize("command", ["score", "evaluate"])
def test_help_has_an_example(command) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: sqcodec {command} " in result.stdout


def test_a_wrong_bit_rate_is_a_usage_error(tmp_path: Path) -> None:
    done = run("evaluate", "no-model", "--data", str(tmp_path), "--out", "out", "--bitrate", "400,low")
    assert done.exit_code == 2
    assert "--bitrate 400,low: expected bit/s separated by commas, such as 400,1600" in done.stderr


NO_FILE = ("nosuch.onnx", "no such file; expected an ONNX model")
NO_PROGRAM = ("nosuch --option", "no such program; expected a command")


@pytest.mark.parametrize("option", ["--mos", "--asr", "--sv"])
@pytest.mark.parametrize(
    ("name", "text"), [NO_FILE, NO_PROGRAM, ("judge 'a", "No closing quotation; expected a command")]
)
@pytest.mark.parametrize("verb", ["score", "evaluate"])
def test_a_mistyped_judge_is_refused_before_the_first_recording(pairs: Path, verb, option, name, text) -> None:
    recordings = {"score": ("ref", "deg"), "evaluate": ("speech16k", "--data", "ref", "--out", "results")}
    result = run(verb, *recordings[verb], option, name)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {name}: {text}")
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("option", "name", "text"),
    [
        ("--asr", "resemblyzer", "compares voices (--sv); expected a command, MODEL.onnx or pocketsphinx"),
        ("--sv", "pocketsphinx", "gives words (--asr); expected a command, MODEL.onnx or resemblyzer"),
        ("--mos", "pocketsphinx", "gives words (--asr); expected a command or MODEL.onnx"),
    ],
)
def test_a_package_for_something_else_is_refused(pairs: Path, option, name, text) -> None:
    assert refused("score", "ref", "deg", option, name) == f"Error: {name}: {text}\n"


@pytest.mark.parametrize(("option", "name"), [("--asr", "pocketsphinx"), ("--sv", "resemblyzer")])
def test_a_package_that_is_not_installed_is_refused(pairs: Path, monkeypatch, option, name) -> None:
    speaker_encoder._network.cache_clear()
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    monkeypatch.setattr(speaker_encoder.importlib.util, "find_spec", lambda _: None)
    assert "install" in refused("score", "ref", "deg", option, name)


def notes_of(*arguments: str) -> list[str]:
    result = run("score", "ref", "deg", "--json", *arguments)
    assert result.exit_code == 0
    return json.loads(result.stdout)["notes"]


@pytest.mark.slow
def test_what_could_not_be_computed_says_why(pairs: Path) -> None:
    text = "Predicted MOS: not computed for 2 of 2: echo many words: got could not convert"
    assert any(note.startswith(text) for note in notes_of("--mos", "echo many words"))


@pytest.mark.slow
def test_lengths_that_differ_much_are_told(pairs: Path) -> None:
    sound = soundfile.read("deg/1.wav")[0]
    soundfile.write("deg/1.wav", sound[:3000], 16000)
    text = "1 has 0.19 s, its reference 1.50 s: the reference's length is scored, what is missing counts as silence"
    assert text in notes_of()
    soundfile.write("deg/1.wav", sound[:20_000], 16000)  # a quarter of a second less
    assert not any("its reference" in note for note in notes_of())


def test_what_agrees_at_no_delay_is_told(pairs: Path) -> None:
    """Half a second late, or another recording: every figure would be of unlike signals."""
    text = "hardly like the reference at any delay within 250 ms: another recording, a longer delay, or noise"
    late = np.concatenate([np.zeros(8000), soundfile.read("ref/0.wav")[0]])
    soundfile.write("deg/0.wav", late, 16000)
    assert f"0: {text}" in " ".join(run("score", "ref", "deg").stderr.split())
    soundfile.write("deg/0.wav", late[4000:], 16000)  # 250 ms are found
    assert text not in " ".join(run("score", "ref", "deg").stderr.split())
