import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import AudioError


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("samples", [1, 7, 401, 30011])
def test_length_is_exact_at_any_rate_and_block_size(tmp_path: Path, rate: int, samples: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(samples), rate, subtype="FLOAT")
    source = AudioSource(path)
    expected = -(-samples * 16000 // rate)
    assert (source.rate, source.channels, source.input_samples, source.seconds) == (rate, 1, samples, samples / rate)
    whole = source.read(16000)
    assert whole.dtype == np.float32
    assert whole.shape == (expected,)
    pieces = list(source.blocks(16000, 1024))
    assert max(map(len, pieces)) < 4096
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)  # float32 rounding: blocks change no sum


def test_resampling_is_soxr_high_quality(tmp_path: Path) -> None:
    samples = (0.1 * np.random.default_rng(1).standard_normal(48000)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 48000, subtype="FLOAT")
    expected = soxr.resample(samples, 48000, 16000, quality="HQ")
    np.testing.assert_allclose(AudioSource(tmp_path / "a.wav").read(16000), expected, atol=1e-6)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left_right = np.tile([[0.5, -0.25]], (1000, 1))
    soundfile.write(tmp_path / "a.wav", left_right, 16000, subtype="FLOAT")
    assert AudioSource(tmp_path / "a.wav").read(16000) == pytest.approx(np.full(1000, 0.125))


@pytest.mark.parametrize(("name", "kind"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", None), ("a.flac", None)])
def test_lossy_formats_count_what_is_read(tmp_path: Path, record, name: str, kind: str | None) -> None:
    how = {"format": "OGG", "subtype": kind} if kind else {}
    source = AudioSource(record(tmp_path / name, seconds=1.0, **how))
    before = source.input_samples
    assert len(source.read(source.rate)) == before == source.input_samples
    assert abs(before - 16000) <= 1700  # an MP3 keeps its encoder's padding


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac"])
def test_truncated_files_are_refused(tmp_path: Path, record, name: str) -> None:
    path = record(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=rf"{re.escape(str(path))}: broken: "):
        AudioSource(path).read(16000)


def test_truncated_wav_says_how_much_is_there(tmp_path: Path, record) -> None:
    path = record(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(AudioError, match=r"broken: truncated: got 9000 of 9600 bytes of sound; copy or download"):
        AudioSource(path)


def test_wav_from_a_pipe_is_not_truncated(tmp_path: Path, record) -> None:
    path = record(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert AudioSource(path).input_samples == 4800


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    samples = np.zeros(2000)
    samples[1500] = bad
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    source = AudioSource(tmp_path / "a.wav")
    with pytest.raises(AudioError, match=r"a\.wav: not finite: NaN or infinity within samples 1000 to 2000; repair"):
        list(source.blocks(16000, 1000))


def test_empty_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "headless.raw").write_bytes(bytes(100))
    expected = {
        "empty.wav": "empty: it holds no samples; expected at least one",
        "text.wav": "broken: Format not recognised; expected a recording (WAV, FLAC, Ogg, MP3...)",
        "headless.raw": "raw samples, whose format and rate no header says; `raw` s16le and `rate` 16000 do",
        "nothing.wav": "missing: no such file; expected a recording (WAV, FLAC, Ogg, MP3...)",
        ".": "missing: a folder; expected a recording (WAV, FLAC, Ogg, MP3...)",
    }
    for name, text in expected.items():
        with pytest.raises(AudioError) as error:
            AudioSource(tmp_path / name)
        assert str(error.value) == f"{tmp_path / name}: {text}"


def test_numbers_that_are_no_sound_are_refused(tmp_path: Path) -> None:
    """Finite, but a resampler's sums of them need not be."""
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, 3e38, 0.0]), 44100, subtype="FLOAT")
    with pytest.raises(AudioError) as caught:
        AudioSource(path).read(16000)
    assert str(caught.value) == (
        f"{path}: no sound: values up to 3e+38 within samples 0 to 3, expected -1 to 1; repair or leave out the file"
    )
    soundfile.write(path, np.array([0.0, 2.0**31, 0.0]), 16000, subtype="FLOAT")  # integers taken for floats
    assert AudioSource(path).read(16000).max() == 2.0**31


def test_opus_is_decoded_once(tmp_path: Path, record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its header holds no length: one sample is read to see that it is not empty; the rest are counted in reading."""
    path, decoded, read = (
        record(tmp_path / "a.opus", seconds=1.0, format="OGG", subtype="OPUS"),
        [],
        soundfile.SoundFile.read,
    )

    def counted(self: soundfile.SoundFile, *arguments, **options) -> np.ndarray:
        block = read(self, *arguments, **options)
        decoded.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    source = AudioSource(path)
    assert len(source.read(source.rate)) == source.input_samples
    assert sum(decoded) == 1 + source.input_samples
