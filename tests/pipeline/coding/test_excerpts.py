"""A part of a recording: the samples of the whole, from the codes around it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import sqcodec
from sqcodec.errors import CodesError
from sqcodec.pipeline.coding import codes_files
from sqcodec.pipeline.coding.excerpts import Excerpt, window
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.spectrogram import FEATURES
from tests.conftest import speech_like

MODEL = SHIPPED / "speech16k" / "model.safetensors"
LAYOUTS = (FEATURES["log-mel"], replace(FEATURES["log-mel"], sample_rate=22050, hop_length=256))
SECONDS = 26


@given(
    st.integers(1, 60 * 48000), st.sampled_from([8000, 11025, 16000, 44100, 48000]), st.sampled_from(LAYOUTS),
    st.floats(0, 1, exclude_max=True), st.none() | st.floats(1e-3, 90), st.sampled_from([8000, 16000, 44100]),
)  # fmt: skip
def test_a_window_holds_the_excerpt_and_its_margins(samples, sample_rate, features, share, duration, rate):
    """And the codes that a recording of its samples has, so that nothing takes it for anything else."""
    offset = share * samples / sample_rate
    part = window(Excerpt(offset, duration), samples, sample_rate, features, where="x")
    assert part.first * features.samples_per_code == part.begins * features.sample_rate
    assert part.stop - part.first == features.code_count(part.samples, sample_rate)
    assert part.begins == 0 or part.begins <= offset - 5
    assert part.begins + part.samples / sample_rate >= min(
        samples / sample_rate, np.inf if duration is None else offset + duration + 5
    )
    assert part.stop <= features.code_count(samples, sample_rate)
    available = -(-part.samples * rate // sample_rate)
    start, number = Excerpt(offset, duration).extent(rate, begins=part.begins, samples=available)
    whole = -(-samples * rate // sample_rate)
    first = min(round(offset * rate), whole - 1)
    assert start + part.begins * rate == first
    assert number == (whole - first if duration is None else min(whole - first, max(1, round(duration * rate))))


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """long.sqc and long.npy of the model that ships, recorded at 11,025 Hz, and the whole sound of the first."""
    folder = tmp_path_factory.mktemp("excerpts")
    codec = sqcodec.load(MODEL)
    codes = codec.encode(speech_like(SECONDS * 11025, rate=11025), 11025, bitrate=800)
    (folder / "long.sqc").write_bytes(codec.pack(codes))
    sqcodec.decode_file(folder / "long.sqc", folder / "whole.wav", model=MODEL)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("offset", "duration"), [(0, 2), (13.37, 0.01), (13, 3.5), (18.2, None), (SECONDS - 1e-6, 3), (7, 100)]
)
def test_an_excerpt_has_the_samples_of_the_whole(coded: Path, offset: float, duration: float | None) -> None:
    done = sqcodec.decode_file(coded / "long.sqc", coded / "part.wav", model=MODEL, offset=offset, duration=duration)
    whole, part = (soundfile.read(coded / f"{name}.wav", dtype="int16")[0] for name in ("whole", "part"))
    first = min(round(offset * 16000), len(whole) - 1)
    expected = whole[first:] if duration is None else whole[first : first + round(duration * 16000)]
    assert np.array_equal(part, expected)
    assert done.samples == len(part)


@pytest.mark.slow
def test_another_rate_rounds_alike(coded: Path) -> None:
    """Resamplers in blocks that begin elsewhere: a unit of the last of 16 bits."""
    for rate in (8000, 44100):
        given = {"model": MODEL, "sample_rate": rate}
        sqcodec.decode_file(coded / "long.sqc", coded / "w.wav", **given)
        sqcodec.decode_file(coded / "long.sqc", coded / "p.wav", **given, offset=9.5, duration=6)
        whole, part = (soundfile.read(coded / name, dtype="int16")[0].astype(int) for name in ("w.wav", "p.wav"))
        assert np.abs(part - whole[round(9.5 * rate) :][: 6 * rate]).max() <= 1


@pytest.mark.slow
def test_only_the_codes_around_it_are_decoded(coded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    true = codes_files.open_excerpt

    def seen(*arguments, **given):
        opened.append(true(*arguments, **given))
        return opened[-1]

    monkeypatch.setattr("sqcodec.pipeline.coding.files.open_excerpt", seen)
    sqcodec.decode_file(coded / "long.sqc", coded / "part.wav", model=MODEL, offset=19, duration=0.5)
    assert opened[0].begins == 14
    assert opened[0].codes.indices.shape[1] == 11 * 50 + 1


@pytest.mark.parametrize(
    ("excerpt", "text"),
    [
        ({"offset": 2.5}, "{path}: `offset` 2.5: expected less than 2.50 s, the recording's length"),
        ({"offset": -1}, "`offset` -1: expected seconds, 0 or more"),
        ({"offset": float("nan")}, "`offset` nan: expected seconds, 0 or more"),
        ({"duration": 0}, "`duration` 0: expected seconds, more than 0"),
        ({"duration": float("inf")}, "`duration` inf: expected seconds, more than 0"),
    ],
)
@pytest.mark.parametrize("name", ["in.sqc", "in.npy"])
def test_what_is_no_part_is_refused(tiny_model: Path, tmp_path: Path, name: str, excerpt: dict, text: str) -> None:
    soundfile.write(tmp_path / "in.wav", speech_like(40_000), 16_000)
    path = tmp_path / name
    sqcodec.encode_file(tmp_path / "in.wav", path, model=tiny_model, speaker="s5")
    with pytest.raises(CodesError) as caught:
        sqcodec.decode_file(path, tmp_path / "out.wav", model=tiny_model, **excerpt)
    assert str(caught.value) == text.format(path=path)
    assert not (tmp_path / "out.wav").exists()
