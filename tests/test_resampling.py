"""The resampling loop: exact lengths, blocks that change nothing, rates that cannot be."""

import numpy as np
import pytest

from sqcodec.errors import AudioError
from sqcodec.recording import ArrayRecording
from sqcodec.resampling import Resampler, check_rate, resample, resampled


@pytest.mark.parametrize(("rate", "to_rate"), [(16000, 48000), (44100, 24000), (48000, 16000), (24000, 24000)])
@pytest.mark.parametrize("samples", [1, 401, 30_011])
def test_lengths_are_exact_and_blocks_change_nothing(rate: int, to_rate: int, samples: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    whole = resample(sound, rate, to_rate)
    assert len(whole) == -(-samples * to_rate // rate)
    pieces = list(resampled(np.array_split(sound, 7), rate, to_rate))
    # float32 rounding of sums that do not change
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=0, atol=1e-6)


def test_a_tone_keeps_its_pitch() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000).astype(np.float32)
    made = resample(tone, 24_000, 48_000)
    expected = np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    assert np.abs(made - expected)[500:-500].max() < 1e-3  # soxr HQ: the filter's ripple, away from the edges


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(AudioError, match=r"^0 Hz cannot be resampled to 16000 Hz: "):
        resampled([np.zeros(5, np.float32)], 0, 16000)


def test_an_array_is_a_recording() -> None:
    recording = ArrayRecording(np.zeros(100, np.float32), 48000)
    assert (recording.input_samples, recording.rate) == (100, 48000)
    assert sum(map(len, recording.blocks(16000))) == 34


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 44100, 48000])
def test_what_comes_piece_by_piece_has_the_length_of_the_whole(rate: int) -> None:
    random = np.random.default_rng(rate)
    for samples in random.integers(1, 50_000, 40).tolist():
        stream = Resampler(rate, 16000)
        pieces = [stream.push(piece) for piece in np.array_split(np.zeros(samples, np.float32), 5)]
        assert sum(map(len, pieces)) + len(stream.flush()) == -(-samples * 16000 // rate)


@pytest.mark.parametrize("rate", [0, 999, 384_001, float("nan")])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(AudioError, match=f"got a sample rate of {rate} Hz, expected 1000 to 384000"):
        check_rate(rate)
    for given in (16000.5, "16000", True, None):
        with pytest.raises(AudioError, match=f"got a sample rate of {given!r}, expected a whole number of Hz, such as"):
            check_rate(given)  # type: ignore[arg-type]
    assert check_rate(48000.0) == 48000
