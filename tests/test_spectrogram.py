"""Rates and counts of a feature configuration, and what of it files keep."""

import math
from dataclasses import asdict, replace

import pytest

from sqcodec.spectrogram import FEATURES, FeatureConfig, feature_config

USUAL = FEATURES["log-mel"]
WIDE = replace(USUAL, sample_rate=48000, hop_length=480, win_length=1920, n_fft=2048, f_max=24000.0)


def test_rates_follow_from_rate_and_hop() -> None:
    assert (USUAL.frame_rate, USUAL.code_rate, USUAL.samples_per_code) == (100.0, 50.0, 320)
    other = replace(WIDE, hop_length=512, frames_per_code=3)
    assert (other.frame_rate, other.code_rate, other.samples_per_code) == (93.75, 31.25, 1536)


@pytest.mark.parametrize("config", [USUAL, WIDE, replace(WIDE, frames_per_code=3)], ids=lambda config: config.name)
@pytest.mark.parametrize("samples", [1, 79, 80, 81, 240, 241, 1440, 1441, 48_000, 48_001])
def test_counts_are_the_least_that_cover_the_recording(config: FeatureConfig, samples: int) -> None:
    frames = config.frame_count(samples)
    # frame t makes the samples from half a hop before its centre to half a hop after: t hop + hop / 2 at the end
    assert config.hop_length * frames - config.hop_length // 2 >= samples
    assert config.hop_length * (frames - 1) - config.hop_length // 2 < samples
    codes = config.code_count(samples, config.sample_rate)
    assert config.frames_per_code * (codes - 1) < frames <= config.frames_per_code * codes


def test_codes_of_a_recording_at_another_rate_are_those_of_it_resampled() -> None:
    assert USUAL.code_count(44_101, 44_100) == USUAL.code_count(math.ceil(44_101 * 16 / 44.1), 16_000)


def test_a_unit_of_the_features_in_decibels() -> None:
    assert FEATURES["paper-mel"].decibels_per_unit == 80.0
    assert USUAL.decibels_per_unit == pytest.approx(20 * math.log10(math.e), rel=1e-15)


def test_files_store_rates_only_when_not_the_default() -> None:
    """Fingerprints and headers of before are those without the two fields."""
    kept = USUAL.as_dict()
    assert asdict(USUAL).keys() - kept.keys() == {"sample_rate", "frames_per_code"}
    assert kept["dynamic_range"] is None
    assert FeatureConfig(**kept) == USUAL
    three = replace(WIDE, frames_per_code=3)
    assert (WIDE.as_dict()["sample_rate"], three.as_dict()["frames_per_code"]) == (48000, 3)
    assert FeatureConfig(**three.as_dict()) == three


def test_a_section_is_written_with_its_kind() -> None:
    assert feature_config({"kind": "paper-mel"}) == FEATURES["paper-mel"]
    given = feature_config({"kind": "log-mel", "sample_rate": 24000, "hop_length": 240, "n_fft": None})
    assert given == replace(USUAL, sample_rate=24000, hop_length=240)
    assert given.name == "log-mel (hop_length 240, sample_rate 24000)"
