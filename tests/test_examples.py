"""The examples run, with fewer steps."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec import layouts
from tests.cli.runner import run

pytestmark = pytest.mark.ships

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "recipes" / "tiny" / "speech" / "VCTK-Corpus-0.92"


@pytest.mark.slow
def test_a_language_model_over_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Corpus to Parquet to model to codes to sound. After 25 steps the loss is below that of the uniform distribution
    over one codebook, log 256: the model has learnt whose turn it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    exported = run(
        "export", SPEECH, "tokens", "--to", "parquet", "--layout", "flat", "--offset", "2", "--bitrate", "800"
    )
    assert exported.exit_code == 0, exported.output
    example = [sys.executable, ROOT / "examples" / "language_model.py", "tokens", "made", "--steps", "25"]
    done = subprocess.run([*example, "--seconds", "0.5"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    losses = [float(loss) for loss in re.findall(r"([\d.]+) nats", done.stdout)]
    assert losses[-1] < min(losses[0], np.log(256)), done.stdout
    rows = [json.loads(line) for line in Path("made/rows.jsonl").read_text("utf-8").splitlines()]
    frames = layouts.unflatten(np.array(rows[1]["audio_codes"]), (256, 256), offset=2).codes.shape[1]
    decoded = run("decode", "made/rows.jsonl", "made/1.wav", "--row", "1")
    assert decoded.exit_code == 0, decoded.output
    assert soundfile.info("made/1.wav").frames == frames * 320


UDP = ROOT / "examples" / "udp.py"


@pytest.mark.slow
def test_a_voice_over_a_bad_network(tmp_path: Path) -> None:
    """Every packet is played once, the lost ones concealed; with this seed the network loses some and swaps others."""
    recording = SPEECH / "wav48_silence_trimmed" / "p225" / "p225_001_mic1.flac"
    channel = ["--loss", "10", "--jitter", "60", "--buffer", "200", "--speed", "2"]
    done = subprocess.run(
        [sys.executable, UDP, recording, tmp_path / "out.wav", *channel], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3  # one a second, and the last
    received, concealed, late, reordered, held = map(
        int, re.search(r"(\d+) received, (\d+) .* \((\d+) .*late\), (\d+) out of order, (\d+) in", lines[-1]).groups()
    )
    sound, rate = soundfile.read(tmp_path / "out.wav")
    seconds = soundfile.info(recording).duration
    assert rate == soundfile.info(recording).samplerate
    assert abs(len(sound) / rate - seconds) <= 0.04
    packets = round(len(sound) / rate / 0.04)
    assert received - late + concealed == packets
    assert 0 < concealed < packets / 2
    assert reordered > 0
    assert held == 0
    assert np.abs(sound).max() > 0.05


@pytest.mark.parametrize(
    ("words", "text"),
    [(["nosuch.wav"], "nosuch.wav"), ([UDP], "udp.py"), (["in.wav", "--loss", "500"], "--loss 500: expected per cent")],
)
def test_wrong_words_are_one_line(tmp_path: Path, words: list[object], text: str) -> None:
    first, *options = words
    command = [sys.executable, UDP, first, tmp_path / "out.wav", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert text in done.stderr.splitlines()[-1]


def test_a_jitter_buffer_sorts_and_counts() -> None:
    spec = importlib.util.spec_from_file_location("udp", UDP)
    assert spec is not None
    assert spec.loader is not None
    udp = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(udp)
    buffer = udp.JitterBuffer()
    for number in (1, 0, 3):
        buffer.push(number, b"%d" % number)
    assert [buffer.pop() for _ in range(5)] == [b"0", b"1", None, b"3", None]
    buffer.push(2, b"2")
    assert (buffer.received, buffer.lost, buffer.late, buffer.reordered) == (4, 2, 1, 2)
    for _ in range(udp.NUMBERS - 6):
        buffer.pop()
    buffer.push(0, b"again")  # numbers begin again
    buffer.push(udp.NUMBERS - 1, b"last")
    assert [buffer.pop(), buffer.pop(), len(buffer)] == [b"last", b"again", 0]
