from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.splits import Manifest, Utterance, Variation
from sqcodec.corpus.variations import read_varied, with_variations
from sqcodec.errors import AudioError, CorpusError
from sqcodec.recipe.variations_section import VariationsConfig

RATE = 16000


def settings(**values: object) -> VariationsConfig:
    return VariationsConfig.model_validate(values)


def manifest(number: int, split: str = "train") -> Manifest:
    utterances = tuple(
        Utterance(name=f"s/{at}", path=Path(f"s/{at}.wav"), speaker="s", split=split) for at in range(number)
    )
    return Manifest(utterances=utterances, left_out=(), remarks=(), usual_rates=frozenset(), sources={split: "here"})


def with_copies(some: Manifest, config: VariationsConfig) -> Manifest:
    return with_variations(some, config.shares, noise=config.noise, rooms=config.rooms)


def copies(found: Manifest) -> list[Utterance]:
    return [utterance for utterance in found.utterances if utterance.variation]


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pitch(sound: NDArray[np.float32]) -> float:
    """Hz, of the strongest bin."""
    return float(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * RATE / len(sound))


def power_above(sound: NDArray[np.float32], hertz: float) -> float:
    spectrum = np.square(np.abs(np.fft.rfft(sound)))
    return float(spectrum[round(hertz * len(sound) / RATE) :].sum() / spectrum.sum())


def written(path: Path, sound: NDArray[np.float32], rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, subtype="FLOAT")
    return path


def test_shares_say_how_many_recordings_have_a_copy() -> None:
    found = with_copies(manifest(2000), settings(lowered=0.2, raised=0.1, telephone=0.05))
    assert found.utterances[:2000] == manifest(2000).utterances
    counts = Counter(utterance.variation.kind for utterance in copies(found) if utterance.variation)
    assert counts["lowered"] == pytest.approx(400, abs=60)  # a standard deviation is 18
    assert counts["raised"] == pytest.approx(200, abs=45)
    assert counts["telephone"] == pytest.approx(100, abs=33)
    names = [utterance.name for utterance in found.utterances]
    assert len(set(names)) == len(names)
    assert all(
        each.name == f"{each.path.with_suffix('')}~{each.variation.kind}" for each in copies(found) if each.variation
    )


def test_copies_depend_on_names_alone() -> None:
    few, many = (copies(with_copies(manifest(number), settings(lowered=0.5))) for number in (50, 400))
    assert few == [each for each in many if int(each.path.stem) < 50]


def test_a_test_split_has_no_copies() -> None:
    assert not copies(with_copies(manifest(100, "test"), settings(lowered=1.0)))


def test_factors_are_those_of_the_kind() -> None:
    every = copies(with_copies(manifest(400), settings(lowered=0.5, raised=0.5)))
    assert len(every) == 400
    for kind, low, high in (("lowered", 0.7, 0.9), ("raised", 1.1, 1.3)):
        factors = [each.variation.factor for each in every if each.variation and each.variation.kind == kind]
        assert low <= min(factors) < low + 0.02
        assert high - 0.02 < max(factors) <= high


def varied(tmp_path: Path, sound: NDArray[np.float32], variation: Variation, rate: int = RATE) -> NDArray[np.float32]:
    return read_varied(AudioSource(written(tmp_path / "sound.wav", sound, rate)), RATE, variation)


@pytest.mark.parametrize("factor", [0.7, 0.86, 1.3])
@pytest.mark.parametrize("rate", [RATE, 48000])
def test_pitch_and_length_follow_the_factor(tmp_path: Path, factor: float, rate: int) -> None:
    variation = Variation("lowered" if factor < 1 else "raised", factor=factor)
    changed = varied(tmp_path, tone(1000.0, rate=rate), variation, rate)
    assert pitch(changed) == pytest.approx(1000 * factor, abs=2)
    assert len(changed) == pytest.approx(RATE / factor, abs=2)


def test_lowered_copies_of_recordings_with_more_band_fill_the_band(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=48000).astype(np.float32) / 10
    lowered = varied(tmp_path, noise, Variation("lowered", factor=0.7), 48000)
    assert power_above(lowered, 6000) > 0.2  # a quarter of the band; the source at 16 kHz would end at 5600 Hz


def test_a_telephone_has_nothing_above_4_khz(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32) / 10
    changed = varied(tmp_path, noise, Variation("telephone"))
    assert len(changed) == len(noise)
    assert power_above(noise, 4100) > 0.45
    assert power_above(changed, 4100) < 1e-4


@pytest.mark.parametrize("channels", [1, 2])
def test_noise_is_as_far_below_as_drawn(tmp_path: Path, channels: int) -> None:
    sound, noise = tone(500.0), np.random.default_rng(1).normal(size=5000).astype(np.float32) / 10
    path = written(tmp_path / "n.wav", np.stack([noise] * channels, axis=1))
    variation = Variation("noisy", ratio=12.0, noise=str(path), position=0.2)
    added = varied(tmp_path, sound, variation) - sound
    assert 10 * np.log10(np.square(sound).mean() / np.square(added).mean()) == pytest.approx(12.0, abs=0.01)
    expected = np.resize(np.concatenate([noise[1000:], noise[:1000]]), len(sound))  # on from there, and around
    np.testing.assert_allclose(added / added.std(), expected / expected.std(), atol=1e-4)


def test_a_silent_noise_adds_nothing(tmp_path: Path) -> None:
    silent = written(tmp_path / "n.wav", np.zeros(100, np.float32))
    unchanged = varied(tmp_path, tone(500.0), Variation("noisy", ratio=5.0, noise=str(silent)))
    np.testing.assert_array_equal(unchanged, tone(500.0))


def test_a_room_begins_with_the_direct_sound(tmp_path: Path) -> None:
    response = np.zeros(4000, np.float32)
    response[[700, 1500]] = 0.8, 0.6  # 700 samples on the way, then an echo; their energy is 1
    silent = written(tmp_path / "n.wav", np.zeros(100, np.float32))
    click = np.zeros(3000, np.float32)
    click[10] = 0.5
    variation = Variation("noisy", noise=str(silent), room=str(written(tmp_path / "r.wav", response)))
    wet = varied(tmp_path, click, variation)
    assert len(wet) == len(click)
    expected = np.zeros(3000, np.float32)
    expected[[10, 810]] = 0.4, 0.3
    np.testing.assert_allclose(wet, expected, atol=1e-6)


def test_a_silent_room_is_refused(tmp_path: Path) -> None:
    silent = str(written(tmp_path / "n.wav", np.zeros(100, np.float32)))
    with pytest.raises(AudioError, match=r"n.wav: silent: .* expected an impulse response; leave it out"):
        varied(tmp_path, tone(500.0), Variation("noisy", noise=silent, room=silent))


def test_half_of_the_noisy_copies_are_in_a_room(tmp_path: Path) -> None:
    for name in ("noise/a.wav", "noise/b.wav", "rooms/r.wav"):
        written(tmp_path / name, tone(100.0, 0.1))
    config = settings(noisy=1.0, noise=str(tmp_path / "noise"), rooms=str(tmp_path / "rooms"))
    every = [each.variation for each in copies(with_copies(manifest(400), config)) if each.variation]
    assert sum(each.room is not None for each in every) == pytest.approx(200, abs=40)  # a standard deviation is 10
    assert {Path(each.noise or "").name for each in every} == {"a.wav", "b.wav"}
    assert all(5 <= each.ratio <= 25 for each in every)


def test_lowered_and_raised_voices_are_other_speakers() -> None:
    found = copies(with_copies(manifest(300), settings(lowered=0.3, raised=0.3, telephone=0.3)))
    assert {(each.variation.kind, each.speaker) for each in found if each.variation} == {
        ("lowered", "s~lowered"), ("raised", "s~raised"), ("telephone", "s"),
    }  # fmt: skip


def test_a_remark_counts_the_copies() -> None:
    found = with_copies(manifest(200), settings(lowered=0.5, raised=0.5))
    lowered = sum(each.variation.kind == "lowered" for each in copies(found) if each.variation)
    assert found.remarks == (f"train: 200 utterances are copies ({lowered} lowered, {200 - lowered} raised)",)
    assert with_copies(manifest(3), settings()).remarks == ("train: 0 utterances are copies",)


def test_a_recording_with_the_name_of_a_copy_is_refused() -> None:
    some = manifest(1)
    other = Utterance(name="s/0~lowered", path=Path("s/0~lowered.wav"), speaker="s", split="test")
    with pytest.raises(CorpusError, match=r"s/0~lowered.wav: has the name of a copy of s/0.wav; rename one of the two"):
        with_copies(replace(some, utterances=(*some.utterances, other)), settings(lowered=1.0))


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = written(tmp_path / "file.wav", tone(100.0, 0.1))
    for folder, got in ((tmp_path / "absent", "nothing"), (file, "a file"), (tmp_path / "empty", "no recordings")):
        for key, values in (("noise", {}), ("rooms", {"noise": str(tmp_path)})):
            config = settings(noisy=0.1, **values | {key: str(folder)})
            with pytest.raises(CorpusError, match=rf"got {got}, expected a folder .* corpus.variations.{key} to one"):
                with_copies(manifest(3), config)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"lowered": 0.7, "raised": 0.5}, "the shares must be 1 or less together, got 1.2"),
        ({"noisy": 0.1}, "noisy is 0.1 without a folder of noises; set noise, or noisy to 0"),
        ({"noisy": 0.1, "noise": ""}, "at least 1 character"),
        ({"lowered": -0.1}, "greater than or equal to 0"),
        ({"lowered": float("nan")}, "less than or equal to 1"),
        ({"whispered": 0.1}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused(values: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        settings(**values)


def test_shares_that_are_1_but_for_rounding_are_taken() -> None:
    assert 0.8 + 0.05 + 0.05 + 0.1 > 1
    assert settings(lowered=0.8, raised=0.05, telephone=0.05, noisy=0.1, noise="n").shares["lowered"] == 0.8
