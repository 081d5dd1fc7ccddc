"""`score`: pairs of recordings and folders of them."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.errors import AudioError, CorpusError
from sqcodec.pipeline.measuring import scoring
from tests.conftest import speech_like

SETTINGS = scoring.make_settings(mcd="textbook", align=True, asr=None, sv=None)


def write(path: Path, samples: np.ndarray, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


@pytest.mark.slow
def test_a_late_copy_scores_as_a_copy() -> None:
    pytest.importorskip("pesq", reason="the eval extra is not installed")
    sound = speech_like(32000)
    done = scoring.score_signals(sound, np.pad(sound, (77, 0)), SETTINGS)
    assert done.delay == 77
    assert done.scores["delay"] == pytest.approx(77 / 16)
    assert done.scores["pesq"] == pytest.approx(4.644, abs=1e-3)
    assert (done.scores["mcd"], done.scores["lsd"], done.scores["voicing"]) == (0.0, 0.0, 0.0)
    assert done.failed == {
        "si_sdr": "SI-SDR is infinite: the signals are equal up to a factor, or have nothing in common"
    }
    assert done.aligned.tolist() == sound.tolist()


@pytest.mark.slow
def test_without_alignment_the_delay_stays() -> None:
    sound = speech_like(32000)
    settings = scoring.make_settings(mcd="textbook", align=False, asr=None, sv=None)
    done = scoring.score_signals(sound, np.pad(sound, (400, 0)), settings)
    assert done.delay is None
    assert "delay" not in done.scores
    assert done.scores["lsd"] > 1.0


@pytest.mark.slow
def test_a_metric_that_cannot_be_computed_is_counted_and_not_a_number(tmp_path) -> None:
    write(tmp_path / "ref" / "speech.wav", speech_like(24000))
    write(tmp_path / "deg" / "speech.wav", speech_like(24000, seed=1))
    write(tmp_path / "ref" / "silence.wav", np.zeros(24000))
    write(tmp_path / "deg" / "silence.wav", np.zeros(24000))
    write(tmp_path / "ref" / "short.wav", speech_like(300))
    write(tmp_path / "deg" / "short.wav", speech_like(300))
    done = scoring.score_folders(tmp_path / "ref", tmp_path / "deg", SETTINGS)
    assert done.files == 3
    assert (done.means["mcd"].files, done.failed["mcd"]) == (1, 2)
    assert (done.means["lsd"].files, done.failed["lsd"]) == (2, 1)  # 300 samples have a spectrum
    text = scoring.as_text(done, SETTINGS)
    assert "(2 failed)" in text.split("MCD (textbook) (dB) ↓")[1].splitlines()[0]
    assert scoring.as_tree(done)["columns"]["mcd"]["failed"] == 2


@pytest.mark.slow
def test_a_missing_package_is_a_line(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)  # as if it were not installed
    assert scoring.left_out(SETTINGS) == (
        "PESQ wb: left out, the package pesq is not installed; install sqcodec[eval]",
        "Word error rate: left out, no recogniser was named (`asr` pocketsphinx, COMMAND or MODEL.onnx)",
        "Speaker similarity: left out, no speaker encoder was named (`sv` resemblyzer, COMMAND or MODEL.onnx)",
        "Predicted MOS: left out, no predictor was named (`mos` COMMAND or MODEL.onnx)",
    )
    done = scoring.score_signals(speech_like(24000), speech_like(24000, seed=1), SETTINGS)
    assert "pesq" not in done.scores.keys() | done.failed.keys()
    assert "stoi" in done.scores.keys() | done.failed.keys()


@pytest.mark.slow
def test_words_voices_and_quality_by_commands(tmp_path) -> None:
    sound = speech_like(16000)
    settings = scoring.make_settings(
        mcd="versa", align=True, asr="sh -c 'echo one two'", sv="sh -c 'echo 1 2'", mos="sh -c 'echo 3.5'"
    )
    done = scoring.score_signals(sound, sound, settings, text="two")
    assert done.scores["wer"] == 100.0  # of one word: one is inserted
    assert done.words == 1
    assert done.scores["speaker"] == pytest.approx(1.0)
    assert done.scores["mos"] == 3.5
    assert scoring.columns_of(settings)["mos"].title == "Predicted MOS"
    by_model = replace(settings, mos="models/utmos.onnx")
    assert scoring.columns_of(by_model)["mos"].title == "MOS (utmos)"


def test_only_the_columns_that_are_wanted_are_computed() -> None:
    settings = replace(SETTINGS, only=("lsd",))
    done = scoring.score_signals(speech_like(16000), speech_like(16000, seed=1), settings)
    assert done.scores.keys() == {"lsd", "delay"}
    assert not any("pesq" in note or "stoi" in note for note in scoring.left_out(settings))


def test_the_word_error_rate_is_of_all_words_together() -> None:
    def file(errors: int, words: int) -> scoring.FileScores:
        nothing = np.zeros(0, np.float32)
        return scoring.FileScores(
            scores={"wer": 100.0 * errors / words}, failed={}, delay=None, words=words, aligned=nothing
        )

    means, _ = scoring.summarise([file(0, 2), file(2, 4)])
    assert means["wer"].mean == pytest.approx(100 * 2 / 6)


@pytest.mark.slow
def test_names_pair_without_suffix_in_any_depth(tmp_path) -> None:
    write(tmp_path / "ref" / "a" / "one.wav", speech_like(20000))
    write(tmp_path / "ref" / "b" / "one.wav", speech_like(20000, seed=2))
    write(tmp_path / "deg" / "a" / "one.flac", speech_like(40000, rate=32000), 32000)
    done = scoring.score_folders(tmp_path / "ref", tmp_path / "deg", SETTINGS, jobs=2)
    assert done.files == 1
    assert done.notes[0] == f"1 of the reference recordings have nothing to compare in {tmp_path / 'deg'}"


def test_a_recording_without_reference_is_refused(tmp_path) -> None:
    write(tmp_path / "ref" / "one.wav", speech_like(20000))
    write(tmp_path / "deg" / "two.wav", speech_like(20000))
    with pytest.raises(CorpusError) as error:
        scoring.score_folders(tmp_path / "ref", tmp_path / "deg", SETTINGS)
    assert str(error.value) == (
        f"{tmp_path}/deg: 1 recordings have no reference of their name in {tmp_path}/ref (the first: two)"
    )
    with pytest.raises(AudioError, match=r"none: missing: no such folder; expected two folders, or two recordings$"):
        scoring.score_folders(tmp_path / "none", tmp_path / "deg", SETTINGS)
