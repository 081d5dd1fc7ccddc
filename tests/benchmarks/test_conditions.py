"""What is derived from recordings is what it says, and the table has a line for each."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from benchmarks import conditions
from benchmarks.throughput import SHIPPED
from tests.conftest import speech_like


def test_noise_has_the_stated_power() -> None:
    sound = speech_like(16000)
    noise = conditions.mixed(sound, np.random.default_rng(0).normal(size=16000), 10.0) - sound
    assert 10 * np.log10(np.square(sound).mean() / np.square(noise).mean()) == pytest.approx(10, abs=1e-3)


def test_a_lowered_tone_is_lower_and_longer() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    lowered = conditions.shifted(tone, 0.8)
    assert len(lowered) == pytest.approx(20000, abs=1)
    spectrum = np.abs(np.fft.rfft(lowered[:16000]))
    assert spectrum.argmax() == 800


def test_telephone_has_no_upper_band_and_small_errors() -> None:
    time = np.arange(16000) / 16000
    sound = (0.5 * np.sin(2 * np.pi * 600 * time) + 0.3 * np.sin(2 * np.pi * 6000 * time)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(conditions.telephone(sound)[4000:12000] * np.hanning(8000))) / 2000
    assert spectrum[300] == pytest.approx(0.5, rel=0.02)
    assert spectrum[2200:].max() < 0.005


def test_every_condition_has_its_sounds() -> None:
    sounds = [speech_like(8000, seed=seed) for seed in range(3)]
    made = {condition.name: condition.sounds for condition in conditions.derived(sounds)}
    assert len(made) == 10
    assert all(np.isfinite(sound).all() and np.abs(sound).max() > 0 for each in made.values() for sound in each)
    assert all(len(each) == 3 for name, each in made.items() if name != "chords")
    soft, clipped = made["very soft (peak -50 dB)"][0], made["clipped (12 dB too loud)"][0]
    assert np.abs(soft).max() == pytest.approx(10**-2.5, rel=1e-5)
    assert (np.abs(clipped) == 1).mean() > 0.01


@pytest.mark.slow
def test_the_table(tmp_path: Path) -> None:
    from benchmarks.__main__ import main

    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "one.wav", speech_like(12800), 16000)
    words = ["conditions", str(tmp_path), "--also", f"again={tmp_path}", "--recordings", "1", "--model", str(SHIPPED)]
    done = CliRunner().invoke(main, words, prog_name="benchmarks")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split(" | ")[0] for line in (lines[4], lines[-1])] == ["| as recorded", "| again"]
    assert lines[4].removeprefix("| as recorded") == lines[-1].removeprefix("| again")
    assert len(lines) == 4 + 10  # one recording has no other voices


@pytest.mark.parametrize("wrong", ["Luganda", "Luganda=nowhere"])
def test_other_recordings_need_a_name_and_a_folder(wrong: str, tmp_path: Path) -> None:
    from benchmarks.__main__ import main

    done = CliRunner().invoke(main, ["conditions", str(tmp_path), "--also", wrong], prog_name="benchmarks")
    assert done.exit_code == 2
    assert f"got '{wrong}', expected NAME=FOLDER" in done.stderr
