"""What `Codec.encode` and `Codec.decode` take, and what they say of anything else."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import sqcodec
from sqcodec import Codec, Codes, SqcodecError
from sqcodec.errors import AudioError, CodesError, ModelError
from sqcodec.pipeline.coding.inputs import recording_of
from sqcodec.pipeline.coding.rate_control import Goal
from sqcodec.recording import ArrayRecording
from tests.conftest import speech_like

SOUND = speech_like(8000)
SHIPPED = Path(__file__).parents[3] / "sqcodec" / "models" / "speech16k"


@pytest.fixture(scope="module")
def codec(made_model: Path) -> Codec:
    return sqcodec.load(made_model)


def samples_of(audio: object, sample_rate: int | None = 16000) -> np.ndarray:
    (block,) = recording_of(audio, sample_rate).blocks(16000)
    return block


@pytest.mark.parametrize(
    "audio",
    [
        SOUND, SOUND.astype(np.float64), torch.from_numpy(SOUND), SOUND[None], SOUND[:, None],
        torch.from_numpy(SOUND).requires_grad_(), np.stack([SOUND, SOUND]), np.stack([SOUND] * 8, axis=1),
        np.asfortranarray(np.stack([SOUND] * 3)),
    ],
)  # fmt: skip
def test_floats_of_any_shape_are_one_channel(audio: object) -> None:
    np.testing.assert_allclose(samples_of(audio), SOUND, atol=1e-7)  # a mean of equal channels in float32


@pytest.mark.parametrize(("kind", "scale"), [(np.int16, 2**15), (np.int32, 2**31)])
def test_integers_are_of_full_scale(kind: type, scale: int) -> None:
    whole = np.round(SOUND.astype(np.float64) * scale).astype(kind)
    for audio in (whole, torch.from_numpy(whole)):
        np.testing.assert_allclose(samples_of(audio), SOUND, atol=2**-16)  # half a step of int16


def test_short_floats_of_torch() -> None:
    """bfloat16 is unknown to NumPy; its 8 bits round by up to 2^-9 of a value below 1."""
    np.testing.assert_allclose(samples_of(torch.from_numpy(SOUND).bfloat16()), SOUND, atol=2**-9)


def test_channels_are_mixed_unless_they_cancel() -> None:
    np.testing.assert_allclose(samples_of(np.stack([SOUND, 0 * SOUND])), SOUND / 2)
    np.testing.assert_allclose(samples_of(np.stack([SOUND, -SOUND])), SOUND)


def test_what_carries_its_rate_needs_none(tmp_path: Path, codec: Codec) -> None:
    path = tmp_path / "in.wav"
    soundfile.write(path, SOUND, 16000, subtype="FLOAT")
    row = {"array": SOUND, "sampling_rate": 16000, "path": "in.wav"}
    expected = codec.encode(SOUND, 16000, speaker="s5")
    for audio in (path, str(path), row, ArrayRecording(SOUND, 16000)):
        assert np.array_equal(codec.encode(audio, speaker="s5").indices, expected.indices)
        assert codec.encode(audio, 16000, speaker="s5").samples == 8000
        with pytest.raises(SqcodecError, match="got 8000 Hz, but its own rate is 16000 Hz; leave sample_rate out"):
            codec.encode(audio, 8000)


def test_a_list_gives_a_list_of_the_same(codec: Codec) -> None:
    several = [SOUND, torch.from_numpy(SOUND[:3000]), SOUND[None, :500]]
    codes = codec.encode(several, 16000, speaker="s5")
    assert isinstance(codes, list)
    for one, audio in zip(codes, several, strict=True):
        assert np.array_equal(one.indices, codec.encode(audio, 16000, speaker="s5").indices)
    for sound, one in zip(codec.decode(codes), codes, strict=True):
        assert np.abs(sound - codec.decode(one)).max() < 1e-4  # rounding; see tests/pipeline/coding/test_lists.py
    assert codec.encode([], 16000) == []


@pytest.mark.parametrize(
    ("audio", "rate", "text"),
    [
        (SOUND, None, "the sample rate of the array is missing; give it in Hz: codec.encode(samples, 16000)"),
        (SOUND, "16k", "got a sample rate of '16k', expected a whole number of Hz, such as 16000"),
        (SOUND, 16000.5, "got a sample rate of 16000.5, expected a whole number"),
        (SOUND, True, "got a sample rate of True, expected a whole number"),
        (SOUND, 7, "got a sample rate of 7 Hz, expected 1000 to 384000"),
        (np.zeros((2, 5), np.float32), 16000, "got an array [2, 5]: both axes are at most 8 long, so the channels"),
        (np.zeros((9, 90), np.float32), 16000, "got an array [9, 90]: neither axis is at most 8 long, so the channels"),
        (np.zeros((1, 1, 90), np.float32), 16000, "got an array [1, 1, 90], expected [N], [C, N] or [N, C]; several"),
        (np.zeros(90, np.int64), 16000, "got samples of int64, expected floats in -1 to 1, int16 or int32; divide"),
        (np.zeros(90, bool), 16000, "got samples of bool, expected floats"),
        (
            np.full(90, 1e20, np.float32),
            16000,
            "got samples up to 1e+20, expected -1 to 1; divide by the value of full",
        ),
        (np.full(90, 9000.0), 16000, "got samples up to 9e+03, expected -1 to 1; divide by the value of full"),
        (None, 16000, "got NoneType, expected samples as an array of NumPy or a tensor of torch, or a path"),
        ([0.1, 0.2], 16000, "got float, expected samples as an array of NumPy or a tensor of torch, or a path"),
        ({"audio": SOUND}, None, "got a mapping of audio; expected `array` and `sampling_rate`"),
        ("none.wav", None, "none.wav: missing: no such file; expected a recording"),
    ],
)
def test_wrong_input_is_an_error_with_the_next_step(codec: Codec, audio: object, rate: object, text: str) -> None:
    with pytest.raises(SqcodecError) as caught:
        codec.encode(audio, rate)
    assert str(caught.value).startswith(text)


def test_bare_codes_decode(codec: Codec) -> None:
    codes = codec.encode(SOUND, 16000, speaker="s5")
    whole = codec.decode(codes.indices, speaker="s5")
    assert whole.shape == (320 * codes.indices.shape[1],)
    for bare in (codes.indices[0], torch.from_numpy(codes.indices.astype(np.int64)), codes.indices.astype(np.int32)):
        assert np.array_equal(codec.decode(bare, speaker="s5"), whole)


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        (np.zeros((1, 5), np.float32), "got an array [1, 5] of float32, expected codes: integers [K, T] or [T]"),
        (np.zeros((1, 1, 5), np.int64), "got an array [1, 1, 5] of int64, expected codes"),
        (np.array([-1]), "got codes -1 to -1, expected them within 0 to 65535"),
        (np.array([16]), "codes: got code 16, expected 0 to 15"),
        ("codes.npy", "got str, expected codes as an array of NumPy or a tensor of torch"),
    ],
)
def test_wrong_codes_are_refused(codec: Codec, codes: object, text: str) -> None:
    with pytest.raises(SqcodecError) as caught:
        codec.decode(codes, speaker="s5")
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_decode_at_another_rate(codec: Codec, rate: int) -> None:
    codes = codec.encode(speech_like(12_347, rate=44100), 44100, speaker="s5")
    sound = codec.decode(codes, rate)
    assert sound.dtype == np.float32
    assert sound.shape == (codes.samples_at(rate),)
    assert len(codec.decode(codes, 44100)) == 12_347
    with pytest.raises(SqcodecError, match="got a sample rate of 5 Hz"):
        codec.decode(codes, 5)


def test_properties_and_repr(codec: Codec) -> None:
    assert (codec.sample_rate, codec.frame_rate, codec.codebooks, codec.nominal_bitrates) == (16000, 50.0, 1, (200,))
    assert repr(codec) == (
        f"<Codec {codec.path.parent}: 16000 Hz, 1 codebooks, 50 codes/s each, 200 bit/s (200 by default), 3 speakers>"
    )
    words = codec.embeddings()
    assert words.shape == (1, 16, 4)
    assert words.dtype == np.float32
    indices = torch.arange(16)[None, None]
    np.testing.assert_array_equal(words[0], codec.model.quantizer.decode(indices)[0].detach().numpy())


def test_codes_is_what_encode_returns(codec: Codec) -> None:
    assert isinstance(codec.encode(SOUND, 16000), Codes)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"codebooks": 0}, "`codebooks` 0: expected a whole number of at least 1"),
        ({"codebooks": -1}, "`codebooks` -1: expected a whole number of at least 1"),
        ({"codebooks": "4"}, "`codebooks` '4': expected a whole number of at least 1"),
        ({"codebooks": 2.5}, "`codebooks` 2.5: expected a whole number of at least 1"),
        ({"bitrate": 0.8}, "`bitrate` 0.8: expected bit/s, 1 or more, such as 1600"),
        ({"bitrate": "1600"}, "`bitrate` '1600': expected bit/s, 1 or more, such as 1600"),
        ({"bitrate": 0}, "`bitrate` 0: expected bit/s, 1 or more, such as 1600"),
        ({"bitrate": -5}, "`bitrate` -5: expected bit/s, 1 or more"),
        ({"bitrate": float("nan")}, "`bitrate` nan: expected bit/s, 1 or more"),
        ({"bitrate": float("inf")}, "`bitrate` inf: expected bit/s, 1 or more"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(codec: Codec, setting: dict[str, Any], text: str) -> None:
    with pytest.raises(CodesError) as caught:
        codec.encode(SOUND, 16000, **setting)
    assert str(caught.value).startswith(text)


def test_goals_that_mean_nothing_are_refused() -> None:
    for goal, text in (
        ({"quality": float("nan")}, "`quality` nan: expected decibels"),
        ({"quality": -4000}, "`quality` -4000: expected decibels"),
        ({}, "expected one of `bitrate`, `quality` and `max_bytes`"),
        ({"bit_rate": 800, "quality": 5}, "expected one of `bitrate`, `quality` and `max_bytes`"),
        ({"max_bytes": 0}, "`max_bytes` 0: expected a whole number of at least 1"),
    ):
        with pytest.raises(CodesError, match=text):
            Goal(**goal)


def test_a_rate_of_0_is_no_default(codec: Codec) -> None:
    codes = codec.encode(SOUND, 16000, speaker="s5")
    with pytest.raises(SqcodecError, match="got a sample rate of 0 Hz"):
        codec.decode(codes, 0)


def test_rows_of_codes_are_no_recordings() -> None:
    """Each would be decoded by the first codebook."""
    codec = sqcodec.load(SHIPPED)
    indices = codec.encode(SOUND, 16000).indices
    tensor = torch.from_numpy(indices.astype(np.int32))
    for several, what in ((indices.tolist(), "lists"), (list(indices), "arrays"), (list(tensor), "arrays")):
        with pytest.raises(CodesError, match=f"got a list of {what}.*for one recording give an array"):
            codec.decode(several)
    assert len(codec.decode([indices, indices[:, :20]])) == 2


def test_open_files_are_left_alone(codec: Codec, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", SOUND, 16000)
    with (tmp_path / "in.wav").open("rb") as file:
        for given in (file, io.BytesIO(file.read())):
            with pytest.raises(AudioError, match="expected samples as an array of NumPy or .*, or a path"):
                codec.encode(given)
        assert not file.closed
        assert file.read() == b""
    with pytest.raises(CodesError, match="got str, expected codes .*; decode_file takes files, unpack their bytes"):
        codec.decode("in.sqc")
    with pytest.raises(AudioError, match=r"got float, expected samples|got a number, expected samples \[N\]; a list"):
        codec.encode([np.float32(0.1), np.float32(0.2)], 16000)


def test_values_of_another_type_say_what_is_expected(codec: Codec) -> None:
    codes = codec.encode(SOUND, 16000, speaker="s5")
    with pytest.raises(AudioError, match="got a sample rate of '48000', expected a whole number of Hz"):
        codec.decode(codes, "48000")
    with pytest.raises(AudioError, match="got a sample rate of '16000', expected a whole number of Hz"):
        sqcodec.metrics.evaluate(SOUND, SOUND, "16000")
    with pytest.raises(ModelError, match="model 5: expected a path or a name"):
        sqcodec.load(5)
    with pytest.raises(ModelError, match="model '': expected a path or a name"):
        sqcodec.load("")
    with pytest.raises(CodesError, match="codes: got 8000 samples at 0 Hz, expected a recording's"):
        codec.decode(replace(codes, sample_rate=0))
    with pytest.raises(CodesError, match="`protect` 1.5: expected a number of packets"):
        sqcodec.StreamEncoder(SHIPPED, protect=1.5)
    with pytest.raises(CodesError, match="`bitrate` 1600: no rate of"):
        sqcodec.StreamEncoder(SHIPPED, bitrate="1600")


def test_a_file_of_integers_that_were_saved_as_floats_has_a_note(codec: Codec, tmp_path: Path) -> None:
    """An array of them is refused; a file may be so on purpose."""
    soundfile.write(tmp_path / "loud.wav", 7000.0 * SOUND, 16000, subtype="FLOAT")
    encoded = sqcodec.encode_file(tmp_path / "loud.wav", tmp_path / "o.npy", model=codec.path, speaker="s5")
    (note,) = encoded.notes
    assert note.kind == "beyond full scale"
    assert re.search(r"loud.wav: samples up to \d+, where full scale is 1; integers that were saved as fl", note.text)


def test_layouts_are_there_as_metrics_are() -> None:
    program = "import sqcodec; print(sqcodec.layouts.__name__, 'torch' in __import__('sys').modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "sqcodec.layouts False\n"
