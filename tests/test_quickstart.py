"""`python -m sqcodec.quickstart`: what it prints and writes, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent


def quickstart(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    settings = {name: value for name, value in os.environ.items() if name != "SQCODEC_MODEL"}
    command = [sys.executable, "-m", "sqcodec.quickstart", *words]
    environment = {**settings, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_codes_and_sound_of_the_utterance_that_ships(tmp_path: Path) -> None:
    done = quickstart(tmp_path)
    assert done.returncode == 0, done.stderr
    for line in (
        "== Encode and decode an utterance of the speech that ships",
        "The codes       quickstart/codes.sqc (to store and send), quickstart/codes.npy (for NumPy)",
        "What came back  quickstart/out.wav",
        "All to see      quickstart/spectrograms.png",
    ):
        assert line in done.stdout.splitlines()
    assert soundfile.info(tmp_path / "quickstart" / "out.wav").duration == pytest.approx(2.63, abs=0.01)
    assert (tmp_path / "quickstart" / "spectrograms.png").is_file()


@pytest.mark.slow
def test_a_recording_and_a_folder(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", [0.1] * 8000, 16000)
    done = quickstart(tmp_path, "in.wav", "--out", "mine")
    assert done.returncode == 0, done.stderr
    assert "$ sqcodec encode in.wav mine/codes.sqc --model speech16k" in done.stdout.splitlines()
    assert soundfile.info(tmp_path / "mine" / "out.wav").frames == 8000


@pytest.mark.slow
def test_a_name_like_an_option_and_a_file_for_a_folder(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "-x.flac", [0.1] * 8000, 16000)
    done = quickstart(tmp_path, "--", "-x.flac")
    assert done.returncode == 0, done.stderr
    assert "$ sqcodec encode ./-x.flac quickstart/codes.npy" in done.stdout
    (tmp_path / "taken").write_text("a file")
    refused = quickstart(tmp_path, "--out", "taken")
    assert refused.returncode == 1
    assert refused.stderr == "Error: taken: no folder for results: File exists; name another with --out\n"


def test_what_is_no_recording_is_refused_at_once(tmp_path: Path) -> None:
    known = "(WAV, FLAC, OGG, MP3), or nothing to use the speech that ships\n"
    done = quickstart(tmp_path, "no.wav")
    assert (done.returncode, done.stderr) == (1, f"Error: no.wav: no such file; give a recording {known}")
    done = quickstart(tmp_path, ".")
    assert (done.returncode, done.stderr) == (1, f"Error: .: a folder; give one recording {known}")
    (tmp_path / "bad.wav").write_bytes(b"junk")
    done = quickstart(tmp_path, "bad.wav")
    assert done.returncode == 1
    assert "Error: bad.wav: broken: " in done.stderr
    assert quickstart(tmp_path, "--nonsense").returncode == 2
