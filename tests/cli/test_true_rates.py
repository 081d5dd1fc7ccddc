"""True bit rates on the command line, with the model that ships."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.bitstream.npy import read_codes
from sqcodec.pipeline.finding import models
from tests.cli.runner import refused, run
from tests.conftest import speech_like

SHIPPED = Path(models.__file__).parents[2] / "models"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a recording of 11 s, where the model ships."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "SHIPPED", SHIPPED)
    soundfile.write("in.wav", speech_like(16000 * 11), 16000)
    return tmp_path


@pytest.mark.slow
def test_a_file_has_the_bit_rate_that_is_asked(folder: Path) -> None:
    result = run("encode", "in.wav", "a.sqc", "--bitrate", "700")
    assert result.exit_code == 0, result.output
    rate = 8 * Path("a.sqc").stat().st_size / 11
    assert abs(rate / 700 - 1) < 0.03
    assert f"{rate:.0f} bit/s" in result.output
    inspected = json.loads(run("inspect", "a.sqc", "--json").output)
    assert (inspected["coder"], len(inspected["bits_over_time"])) == ("context", 12)
    assert abs(np.mean(inspected["bits_over_time"][:11]) - rate) < 60  # header and checksum take 30 bit/s
    assert "over time" in run("inspect", "a.sqc").output
    assert run("decode", "a.sqc", "a.wav").exit_code == 0
    assert soundfile.info("a.wav").frames == 16000 * 11


@pytest.mark.slow
def test_bytes_quality_and_coders(folder: Path) -> None:
    assert run("encode", "in.wav", "b.sqc", "--max-bytes", "600").exit_code == 0
    assert 540 < Path("b.sqc").stat().st_size <= 600
    assert run("encode", "in.wav", "c.sqc", "--quality", "3").exit_code == 0
    assert run("encode", "in.wav", "d.sqc", "--bitrate", "800", "--coder", "tables").exit_code == 0
    assert run("encode", "in.wav", "e.sqc", "--bitrate", "800", "--effort", "0").exit_code == 0
    versions = [Path(f"{name}.sqc").read_bytes()[3] >> 4 for name in "bcde"]
    assert versions == [2, 2, 1, 2]
    assert Path("e.sqc").stat().st_size < Path("d.sqc").stat().st_size  # the same codes
    assert run("encode", "in.wav", "f.npy", "--bitrate", "800").exit_code == 0
    assert read_codes(Path("f.npy")).indices.shape[0] == 2


def test_folders_have_true_rates(folder: Path) -> None:
    Path("in").mkdir()
    Path("in.wav").rename("in/in.wav")
    assert run("encode", "in", "out", "--bitrate", "700").exit_code == 0
    assert abs(8 * Path("out/in.sqc").stat().st_size / 11 / 700 - 1) < 0.03
    again = run("encode", "in", "out", "--bitrate", "500")
    assert again.exit_code == 0
    assert abs(8 * Path("out/in.sqc").stat().st_size / 11 / 500 - 1) < 0.03


def test_what_cannot_be_is_refused(folder: Path) -> None:
    assert refused("encode", "in.wav", "a.npy", "--quality", "3") == "Error: --quality needs a .sqc\n"
    tables = refused("encode", "in.wav", "a.sqc", "--max-bytes", "300", "--coder", "tables")
    assert tables == "Error: --max-bytes needs --coder context\n"
    least = refused("encode", "in.wav", "a.sqc", "--max-bytes", "30")
    assert least.startswith("Error: --max-bytes 30: this recording takes ")
    assert not Path("a.sqc").exists()
    both = run("encode", "in.wav", "a.sqc", "--bitrate", "800", "--max-bytes", "300")
    assert (both.exit_code, "--bitrate and --max-bytes exclude each other" in both.output) == (2, True)
