"""The delay of anything a codec may give back."""

import numpy as np
import pytest

from sqcodec.metrics.alignment import MAX_DELAY, find_delay, remove_delay
from tests.conftest import speech_like

SPEECH = speech_like(40_000)


def late(signal: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(signal, (samples, 0)) if samples >= 0 else signal[-samples:]


def new_phases(signal: np.ndarray) -> np.ndarray:
    """The same short-time magnitudes with random phases, as a parametric codec makes them."""
    hann = np.hanning(322)[1:-1]
    padded, made = np.pad(signal, 320), np.zeros(len(signal) + 640)
    rng = np.random.default_rng(2)
    for start in range(0, len(padded) - 320, 80):
        spectrum = np.abs(np.fft.rfft(padded[start : start + 320] * hann))
        made[start : start + 320] += hann * np.fft.irfft(spectrum * np.exp(2j * np.pi * rng.random(161)))
    return made[320:-320].astype(np.float32)


@pytest.mark.parametrize("delay", [0, 1, -1, 17, 312, -640, 1599, MAX_DELAY, -MAX_DELAY])
def test_a_shift_is_found_to_the_sample(delay) -> None:
    noise = np.random.default_rng(0).normal(size=80_000).astype(np.float32)
    degraded = late(SPEECH, delay)
    degraded = (0.3 * degraded + 0.02 * noise[: len(degraded)]).astype(np.float32)
    assert find_delay(SPEECH, degraded) == delay


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 500])
def test_a_long_recording_is_aligned_by_its_loudest_minute(delay) -> None:
    long = np.concatenate([0.001 * speech_like(16_000 * 70, seed=1), speech_like(16_000 * 62), np.zeros(16_000 * 9)])
    long = long.astype(np.float32)
    assert find_delay(long, late(long, delay)) == delay


def test_an_inverted_sign_changes_nothing() -> None:
    assert find_delay(SPEECH, -late(SPEECH, 123)) == 123


@pytest.mark.parametrize("delay", [0, 100, -500, 2500])
def test_sound_of_new_phases_is_found_to_two_milliseconds(delay) -> None:
    # its envelopes are noisy, and a frame of the resynthesis is 20 ms long
    assert abs(find_delay(SPEECH, late(new_phases(SPEECH), delay)) - delay) <= 32


@pytest.mark.parametrize("signal", [np.zeros(40_000, np.float32), SPEECH[:800]])
def test_silence_and_too_short_signals_have_a_delay_of_zero(signal) -> None:
    assert find_delay(SPEECH, signal) == 0
    assert find_delay(signal, SPEECH) == 0


@pytest.mark.parametrize("delay", [0, 5, -5, 50])
def test_a_delay_is_removed_and_the_length_kept(delay) -> None:
    first = np.arange(1, 21, dtype=np.float32)
    moved = remove_delay(late(first, delay), delay, 20)
    assert moved.shape == (20,)
    expected = np.where(np.arange(20) < max(0, -delay), 0, first)  # what came too early was cut off
    assert moved.tolist() == expected.tolist()
    assert remove_delay(first, 0, 25).tolist() == [*first.tolist(), 0, 0, 0, 0, 0]


def test_more_delay_than_sound_leaves_silence() -> None:
    assert not remove_delay(np.ones(10, np.float32), 20, 10).any()


@pytest.mark.parametrize("samples", range(1600, 4000, 200))
def test_short_recordings_are_not_late_to_themselves(samples: int) -> None:
    """From 100 ms on; lags beyond the length would compare one end with the other."""
    for start in (3000, 9000, 20_000):
        sound = SPEECH[start : start + samples]
        assert find_delay(sound, sound) == 0
        assert abs(find_delay(sound, new_phases(sound))) <= samples // 2
