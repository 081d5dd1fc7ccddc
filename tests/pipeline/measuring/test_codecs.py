"""Codecs that are programs of their own, and a model as a system."""

import shutil

import numpy as np
import pytest

from sqcodec.errors import SqcodecError
from sqcodec.pipeline.measuring import codecs
from sqcodec.pipeline.measuring.utterances import find_utterances
from tests.conftest import speech_like


def page(lacing: bytes) -> bytes:
    return b"OggS" + bytes(22) + bytes([len(lacing)]) + lacing + bytes(sum(lacing))


def test_packets_of_ogg_pages() -> None:
    # a packet of 255 ends with a lacing value of 0; one of 300 goes over the page's edge
    content = page(bytes([19])) + page(bytes([255, 0, 10, 255])) + page(bytes([45, 7]))
    assert codecs.ogg_packets(content) == [19, 255, 10, 300, 7]


def test_baselines_whose_programs_are_missing_are_left_out(monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name.startswith("opus") else name)
    found, notes = codecs.find_baselines(["codec2-700C", "opus-6"])
    assert [system.name for system in found] == ["codec2-700C"]
    assert notes == ["opus-6: left out, opusenc and opusdec not installed (Debian, Ubuntu: apt install opus-tools)"]


@pytest.mark.parametrize("name", ["codec2", "codec2-700", "opus-5", "opus-x", "lyra-3200", ""])
def test_an_unknown_baseline_is_refused(name) -> None:
    with pytest.raises(SqcodecError) as error:
        codecs.find_baselines([name])
    assert str(error.value) == (
        f"baseline {name!r}: expected codec2-MODE (3200, 2400, 1600, 1400, 1300, 1200, 700C) or opus-KBPS (6 to 256)"
    )


@pytest.mark.parametrize(("mode", "rate"), [("3200", 3200), ("1300", 1400), ("700C", 800)])  # whole bytes a frame
def test_codec2_has_its_rate(mode, rate) -> None:
    if shutil.which("c2enc") is None:
        pytest.skip("c2enc is not installed (Debian: codec2)")
    coded = codecs.Codec2UnderTest(mode).encode_decode(speech_like(32000), None)
    assert coded.bits / 2 == pytest.approx(rate, rel=0.02)  # 2 s: the last frame is left out
    assert len(coded.sound) == pytest.approx(32000, abs=640)
    assert np.abs(coded.sound).max() > 0.01


def test_opus_has_its_rate_and_length() -> None:
    if shutil.which("opusenc") is None:
        pytest.skip("opusenc is not installed (Debian: opus-tools)")
    coded = codecs.OpusUnderTest("16").encode_decode(speech_like(32000), None)
    assert 8000 < coded.bits / 2 < 20000  # a target, and the rate varies with the sound
    assert coded.sound.shape == (32000,)


def test_a_program_that_fails_is_an_error(monkeypatch, tmp_path) -> None:
    with pytest.raises(SqcodecError, match=r"^false: exit status 1: no message$"):
        codecs._run(["false"], tmp_path)


def test_names_stay_below_the_results(tmp_path) -> None:
    path = tmp_path / "list.tsv"
    path.write_text("path\tspeaker\tsplit\n/data/a.wav\ts\ttest\n../b/c.wav\ts\ttest\n")
    assert [utterance.name for utterance in find_utterances(None, path, without=tmp_path / "out")] == ["b/c", "data/a"]
    path.write_text("path\tspeaker\tsplit\n/data/a.wav\ts\ttest\n../data/a.wav\ts\ttest\n")
    with pytest.raises(SqcodecError, match="has the same name as .*: data/a; remove one$"):
        find_utterances(None, path, without=tmp_path / "out")
