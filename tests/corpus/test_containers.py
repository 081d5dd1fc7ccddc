"""Recordings that are shorter or longer than their headers say."""

import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import AudioError
from tests.conftest import speech_like

SAMPLES = 20_000
# formats whose header has a length of its own; PAF, PVF and IRCAM have none
WITH_LENGTH = (
    "AIFF",
    "AU",
    "AVR",
    "CAF",
    "HTK",
    "SVX",
    "MAT4",
    "MAT5",
    "MPC2K",
    "RF64",
    "VOC",
    "W64",
    "WAV",
    "NIST",
    "WAVEX",
    "WVE",
)


def write(path: Path, samples: np.ndarray | None = None, **options: str) -> Path:
    soundfile.write(path, speech_like(SAMPLES) if samples is None else samples, 16000, **options)
    return path


def kinds(source: AudioSource) -> list[str]:
    source.read(source.rate)
    return [remark.kind for remark in source.remarks]


@pytest.mark.parametrize("form", WITH_LENGTH)
def test_a_file_cut_at_60_percent_is_refused(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "whole", format=form, subtype="ALAW" if form == "WVE" else "PCM_16")
    assert kinds(AudioSource(path)) == []
    content = path.read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match=r"cut: broken: "):
        AudioSource(tmp_path / "cut").read(16000)


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", "MPEG_LAYER_III")])
def test_a_lossy_file_that_is_cut_gets_a_remark(tmp_path: Path, name: str, subtype: str) -> None:
    sound = speech_like(6 * SAMPLES)  # some pages of Ogg
    path = write(tmp_path / name, sound, format="MP3" if name == "a.mp3" else "OGG", subtype=subtype)
    assert kinds(AudioSource(path)) == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    source = AudioSource(path)
    assert kinds(source) == ["cut"]
    assert "may be cut" in source.remarks[0].detail


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", "MPEG_LAYER_III")])
def test_two_recordings_in_one_file_are_refused(tmp_path: Path, name: str, subtype: str) -> None:
    path = write(tmp_path / name, format="MP3" if name == "a.mp3" else "OGG", subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content + content)
    with pytest.raises(AudioError, match=rf"broken: a second recording begins at byte {len(content)}; split the file"):
        AudioSource(path)


def test_a_flac_with_more_sound_than_its_header_says_gets_a_remark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac")
    assert kinds(AudioSource(path)) == []
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0]) + (8000).to_bytes(4, "big")  # 36 bits: total samples
    path.write_bytes(content)
    source = AudioSource(path)
    assert kinds(source) == ["more"]
    assert source.remarks[0].detail == f"its header says 8000 samples, which were read; there are {SAMPLES}"


def test_a_flac_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    """As an encoder leaves it that writes to a pipe."""
    path = write(tmp_path / "a.flac")
    expected = AudioSource(path).read(16000)
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])
    path.write_bytes(content)
    source = AudioSource(path)
    np.testing.assert_array_equal(source.read(16000), expected)
    assert (source.input_samples, source.remarks) == (SAMPLES, ())


def empty_data(path: Path) -> bytearray:
    content = bytearray(write(path).read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = bytes(4)
    return content


def test_a_wav_that_a_recorder_did_not_finish_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    expected = AudioSource(write(path)).read(16000)
    path.write_bytes(empty_data(path))
    source = AudioSource(path)
    np.testing.assert_array_equal(source.read(16000), expected)
    assert kinds(source) == ["unfinished"]


def test_a_wav_without_sound_before_another_chunk_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = empty_data(path)
    path.write_bytes(content[: content.index(b"data") + 8] + b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(AudioError, match="empty: it holds no samples"):
        AudioSource(path)


def test_the_length_of_mp3_in_a_wav_is_not_exact(tmp_path: Path) -> None:
    """libsndfile reckons it from the bit rate, and then reads as many frames of 576 samples as there are."""
    sound = write(tmp_path / "a.mp3", format="MP3", subtype="MPEG_LAYER_III").read_bytes()
    about = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16000, 3000, 576, 0, 12, 1, 0, 576, 1, 0)
    chunks = b"WAVE" + b"".join(
        name + struct.pack("<I", len(content)) + content
        for name, content in ((b"fmt ", about), (b"fact", struct.pack("<I", SAMPLES)), (b"data", sound))
    )
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    header = soundfile.info(path)
    source = AudioSource(path)
    assert header.subtype == "MPEG_LAYER_III"
    assert len(source.read(16000)) == source.input_samples
    assert abs(source.input_samples - SAMPLES) < 3 * 576  # the padding of encoder and decoder


@pytest.mark.parametrize("rate", [1, 999, 384_001, 2**31 - 1])
def test_rates_that_no_recording_has_are_refused(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    content = bytearray(write(path).read_bytes())
    content[24:28] = struct.pack("<I", rate)
    path.write_bytes(content)
    text = rf"{re.escape(str(path))}: broken: got a sample rate of {rate} Hz, expected 1000 to 384000"
    with pytest.raises(AudioError, match=text):
        AudioSource(path)


def test_channels_that_cancel_are_not_mixed(tmp_path: Path) -> None:
    sound = speech_like(SAMPLES)
    path = write(tmp_path / "a.wav", np.stack([sound, -sound / 2], axis=1) * 2, subtype="FLOAT")
    source = AudioSource(path)
    assert kinds(source) == ["mixed down"]  # a quarter is left: as much as the loudest alone would have there
    path = write(tmp_path / "b.wav", np.stack([0.9 * sound, -sound], axis=1), subtype="FLOAT")
    source = AudioSource(path)
    np.testing.assert_array_equal(source.read(16000), -sound)
    assert source.remarks == (("one channel", "2 channels cancel each other; channel 2, the loudest, was taken alone"),)


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    path = tmp_path / "caf\udce9.wav"
    shutil.copy(tmp_path / "a.wav", path)
    assert AudioSource(path).read(16000).shape == (SAMPLES,)
    path.write_bytes(b"junk")
    with pytest.raises(AudioError, match=r"caf\udce9\.wav: broken: Format not recognised; expected a recording"):
        AudioSource(path)
