from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sqcodec.corpus.splits import Manifest, Utterance, Variation
from sqcodec.corpus.variations import vary, with_variations
from sqcodec.errors import CorpusError
from sqcodec.recipe.variations_section import VariationsConfig

RATE = 16000
NONE = {"lowered": 0.0, "raised": 0.0, "telephone": 0.0, "noisy": 0.0, "noise": None, "rooms": None}


def settings(**values: object) -> VariationsConfig:
    return VariationsConfig.model_validate(NONE | values)


def manifest(number: int, split: str = "train") -> Manifest:
    utterances = tuple(
        Utterance(name=f"s/{at}", path=Path(f"s/{at}.wav"), speaker="s", split=split) for at in range(number)
    )
    return Manifest(utterances=utterances, left_out=(), remarks=(), usual_rates=frozenset(), sources={split: "here"})


def copies(found: Manifest) -> list[Utterance]:
    return [utterance for utterance in found.utterances if utterance.variation]


def tone(hertz: float, seconds: float = 1.0) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def pitch(sound: NDArray[np.float32]) -> float:
    """Hz, of the strongest bin."""
    return float(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * RATE / len(sound))


def power_above(sound: NDArray[np.float32], hertz: float) -> float:
    spectrum = np.square(np.abs(np.fft.rfft(sound)))
    return float(spectrum[round(hertz * len(sound) / RATE) :].sum() / spectrum.sum())


def written(path: Path, sound: NDArray[np.float32]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    return path


def test_shares_say_how_many_recordings_have_a_copy() -> None:
    found = with_variations(manifest(2000), settings(lowered=0.2, raised=0.1, telephone=0.05))
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
    few, many = (copies(with_variations(manifest(number), settings(lowered=0.5))) for number in (50, 400))
    assert few == [each for each in many if int(each.path.stem) < 50]


def test_a_test_split_has_no_copies() -> None:
    assert not copies(with_variations(manifest(100, "test"), settings(lowered=1.0)))


def test_factors_are_those_of_the_kind() -> None:
    every = copies(with_variations(manifest(400), settings(lowered=0.5, raised=0.5)))
    assert len(every) == 400
    for kind, low, high in (("lowered", 0.7, 0.9), ("raised", 1.1, 1.3)):
        factors = [each.variation.factor for each in every if each.variation and each.variation.kind == kind]
        assert low <= min(factors) < low + 0.02
        assert high - 0.02 < max(factors) <= high


@pytest.mark.parametrize("factor", [0.7, 0.86, 1.3])
def test_pitch_and_length_follow_the_factor(factor: float) -> None:
    changed = vary(tone(1000.0), RATE, Variation("lowered" if factor < 1 else "raised", factor=factor))
    assert pitch(changed) == pytest.approx(1000 * factor, abs=2)
    assert len(changed) == pytest.approx(RATE / factor, abs=2)


def test_a_telephone_has_nothing_above_4_khz() -> None:
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    changed = vary(noise, RATE, Variation("telephone"))
    assert len(changed) == len(noise)
    assert power_above(noise, 4100) > 0.45
    assert power_above(changed, 4100) < 1e-4


def test_noise_is_as_far_below_as_drawn(tmp_path: Path) -> None:
    sound, noise = tone(500.0), np.random.default_rng(1).normal(size=5000).astype(np.float32)
    variation = Variation("noisy", ratio=12.0, noise=str(written(tmp_path / "n.wav", noise)))
    added = vary(sound, RATE, variation) - sound
    assert 10 * np.log10(np.square(sound).mean() / np.square(added).mean()) == pytest.approx(12.0, abs=0.01)
    np.testing.assert_allclose(added[:5000] / added[0], noise / noise[0], rtol=1e-2, atol=1e-3)  # repeated to the end
    np.testing.assert_allclose(added[5000:10000], added[:5000], atol=1e-6)


def test_a_silent_noise_adds_nothing(tmp_path: Path) -> None:
    silent = written(tmp_path / "n.wav", np.zeros(100, np.float32))
    np.testing.assert_array_equal(
        vary(tone(500.0), RATE, Variation("noisy", ratio=5.0, noise=str(silent))), tone(500.0)
    )


def test_a_room_begins_with_the_direct_sound(tmp_path: Path) -> None:
    response = np.zeros(4000, np.float32)
    response[[700, 1500]] = 0.8, 0.6  # 700 samples on the way, then an echo; their energy is 1
    silent = written(tmp_path / "n.wav", np.zeros(100, np.float32))
    click = np.zeros(3000, np.float32)
    click[10] = 0.5
    variation = Variation("noisy", noise=str(silent), room=str(written(tmp_path / "r.wav", response)))
    wet = vary(click, RATE, variation)
    assert len(wet) == len(click)
    expected = np.zeros(3000, np.float32)
    expected[[10, 810]] = 0.4, 0.3
    np.testing.assert_allclose(wet, expected, atol=1e-6)


def test_half_of_the_noisy_copies_are_in_a_room(tmp_path: Path) -> None:
    for name in ("noise/a.wav", "noise/b.wav", "rooms/r.wav"):
        written(tmp_path / name, tone(100.0, 0.1))
    config = settings(noisy=1.0, noise=str(tmp_path / "noise"), rooms=str(tmp_path / "rooms"))
    every = [each.variation for each in copies(with_variations(manifest(400), config)) if each.variation]
    assert sum(each.room is not None for each in every) == pytest.approx(200, abs=40)  # a standard deviation is 10
    assert {Path(each.noise or "").name for each in every} == {"a.wav", "b.wav"}
    assert all(5 <= each.ratio <= 25 for each in every)


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    config = settings(noisy=0.1, noise=str(tmp_path / "absent"))
    with pytest.raises(CorpusError, match=r"absent: got no recordings, .* set corpus.variations.noise to one"):
        with_variations(manifest(3), config)


def test_shares_above_one_and_noise_without_a_folder_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or less together, got 1.2"):
        settings(lowered=0.7, raised=0.5)
    with pytest.raises(ValueError, match=r"variations.noise must be a folder of recordings where noisy is 0.1"):
        settings(noisy=0.1)
