"""The ISTFT vocoder without training: exact lengths, alignment, blocks, batches, how far it looks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sqcodec.dsp import StftConfig, frames_same, inverse_stft_same, stft_of_frames
from sqcodec.features.mel import extract
from sqcodec.nn.taps import ahead_of_each
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.interface import Rendering
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder, head_stft
from sqcodec.vocoder.refinement import refine, spread
from tests.conftest import speech_like
from tests.vocoder.conftest import small_istft

LOG_MEL, PAPER_MEL = FEATURES["log-mel"], FEATURES["paper-mel"]
STFT = head_stft(LOG_MEL)


def vocoder(*overrides: str, features=LOG_MEL) -> IstftVocoder:
    config = small_istft(*overrides)
    torch.manual_seed(0)
    return IstftVocoder(IstftNetwork(config, features), features, config.refinement)


def rendered(made: IstftVocoder, features: torch.Tensor, samples: int, *, blocks: int | None = None) -> np.ndarray:
    return np.concatenate(list(made.render(features.split(blocks, dim=1) if blocks else [features], samples)))


@pytest.mark.parametrize("frames", [1, 2, 3, 99, 100])
def test_lengths_are_exact(frames: int) -> None:
    made, features = vocoder(), torch.randn(2, 80, frames)
    assert made.synthesise(features).shape == (2, 160 * frames - 80)
    for samples in (160 * frames - 239, 160 * frames - 80, 160 * frames):
        sound = rendered(made, features[0], max(1, samples))
        assert sound.shape == (max(1, samples),)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()


def test_lengths_are_exact_at_another_rate_and_window() -> None:
    """48 kHz, a hop of 512 samples and a window of six hops, so that refinement reaches further."""
    wide = replace(LOG_MEL, sample_rate=48_000, hop_length=512, win_length=3072, n_fft=4096, f_max=24_000.0)
    made, features = vocoder(features=wide), torch.randn(1, 80, 30)
    whole = made.synthesise(features)
    assert (whole.shape, spread(wide), spread(LOG_MEL)) == ((1, 512 * 30 - 256), 6, 4)
    assert np.array_equal(rendered(made, features[0], whole.shape[1]), whole[0].numpy())


def test_codes_of_few_stages_are_not_refined() -> None:
    made = vocoder("vocoder.refinement.stages=3")
    plain = vocoder("vocoder.refinement.iterations=0")
    x = extract(torch.from_numpy(speech_like(160 * 100)), LOG_MEL)

    def sound(of: IstftVocoder, stages: float | None) -> np.ndarray:
        return np.concatenate(list(of.render([x.numpy()], 15_920, stages=stages)))

    assert np.array_equal(sound(made, 2.99), sound(plain, 2.99))
    assert not np.allclose(sound(made, 3), sound(plain, 3))
    assert np.array_equal(sound(made, None), sound(made, 3))


@pytest.mark.parametrize("overrides", [(), ("vocoder.refinement.iterations=0", "vocoder.lookahead=9")])
@pytest.mark.parametrize("features", [LOG_MEL, PAPER_MEL], ids=lambda config: config.kind)
def test_blocks_equal_the_whole(overrides, features) -> None:
    made = vocoder(*overrides, features=features)
    x = extract(torch.from_numpy(speech_like(160 * 2500)), features)
    whole = made.synthesise(x[None])[0].numpy()
    assert np.array_equal(rendered(made, x, len(whole)), rendered(made, x, len(whole), blocks=37))
    # The same sums in FFTs and products of other sizes: float32 rounding of sounds below 1, not a joint.
    assert np.abs(rendered(made, x, len(whole)) - whole).max() < 2e-5 * np.abs(whole).max()


def test_one_equals_one_of_many() -> None:
    made, features = vocoder(), torch.randn(3, 80, 50)
    many = made.synthesise(features)
    for one, sound in zip(features, many, strict=True):
        assert torch.allclose(made.synthesise(one[None])[0], sound, atol=1e-5 * float(sound.abs().max()))


@pytest.mark.parametrize("features", [LOG_MEL, PAPER_MEL], ids=lambda config: config.kind)
def test_what_is_rendered_together_is_as_alone(features) -> None:
    made, frames = vocoder("vocoder.refinement.stages=2", features=features), [1, 2, 3, 70, 1100, 38, 37, 2]
    sounds = [extract(torch.from_numpy(speech_like(160 * n + 40, seed=n)), features).numpy() for n in frames]
    several = [
        Rendering([x], 160 * x.shape[1] - 239 + 40 * number, 1.0 + number % 3) for number, x in enumerate(sounds)
    ]
    several.insert(3, Rendering([], 10))
    for one, sound in zip(several, map(list, made.render_each(several)), strict=True):
        alone = np.concatenate(list(made.render(one.pieces, one.samples, stages=one.stages)))
        got = np.concatenate(sound)
        assert got.shape == alone.shape == (one.samples,)
        # Products of other sizes differ by up to 2e-6 of their result, and refinement makes 15 to 40 times of it.
        assert np.abs(got - alone).max() <= 1e-4 * np.abs(alone).max()


@pytest.mark.parametrize("lookahead", [0, 1, 4, 9])
def test_the_trunk_looks_ahead_as_far_as_it_says(lookahead: int) -> None:
    made = vocoder(f"vocoder.lookahead={lookahead}", "vocoder.refinement.iterations=0").network
    features = torch.randn(1, 80, 60)
    changed = features.clone()
    changed[:, :, 40:] += 1.0
    moved = (made.trunk(changed) - made.trunk(features)).abs().sum(-1)[0]
    assert made.trunk.ahead == lookahead
    assert moved[: 40 - lookahead].max() == 0
    assert moved[40 - lookahead] > 0
    earlier = features.clone()
    earlier[:, :, 0] += 1.0
    moved = (made.trunk(earlier) - made.trunk(features)).abs().sum(-1)[0]
    assert moved.nonzero().max() == made.trunk.behind


def test_lookahead_is_taken_from_the_input_on() -> None:
    assert ahead_of_each(8, 4) == [3, 1, 0, 0, 0, 0, 0, 0, 0]
    assert ahead_of_each(8, 27) == [3] * 9


@pytest.mark.parametrize("place", [80, 400, 1000, 3333, 7919])
def test_an_impulse_comes_back_where_it_was(place: int) -> None:
    sound = torch.zeros(1, 8000)
    sound[0, place] = 1.0
    back = inverse_stft_same(stft_of_frames(frames_same(sound, STFT), STFT), STFT)
    assert back[0].argmax() == place
    assert torch.allclose(back, sound, atol=1e-5)


@pytest.mark.parametrize("features", [LOG_MEL, PAPER_MEL], ids=lambda config: config.kind)
def test_refinement_finds_a_spectrogram_from_a_sound_that_lacks_it(features) -> None:
    x = torch.from_numpy(speech_like(160 * 100))
    wanted = extract(x, features)
    sound = torch.cat([torch.zeros(80), x / (x.abs().max() if features.dynamic_range else 1.0), torch.zeros(80)])[None]
    flat = torch.randn(1, 160 * 101, generator=torch.Generator().manual_seed(0)) * 0.01

    def distance(made: torch.Tensor) -> float:
        difference = extract(made[0, 80:16080], features) - wanted
        # paper-mel is normalised by the sound's peak, which says how loud the loudest sample is, not how like it is
        return (difference - difference.median()).abs().mean().item()

    steps = [distance(refine(flat, wanted[None], features, iterations=n, momentum=0.99)) for n in (0, 1, 8)]
    assert steps[0] > 2 * steps[1]
    assert steps[1] > 1.2 * steps[2]
    kept = refine(sound, wanted[None], features, iterations=1, momentum=0.99)
    assert distance(kept) < 0.05 * steps[0]  # what has the spectrogram already is left nearly as it is


def test_a_contrast_sharpens_the_sound_and_keeps_its_power() -> None:
    """Of white noise, whose spectrogram is flat: the target has peaks, at the power of before."""
    noise = torch.randn(1, 160 * 200, generator=torch.Generator().manual_seed(0))
    wanted = extract(noise[0], LOG_MEL)[None, :, :200]
    mean = torch.full((80, 80), 1 / 80)
    contrast = 0.5 * (torch.eye(80) - mean)
    plain, sharp = (
        refine(noise, wanted, LOG_MEL, iterations=3, momentum=0.0, contrast=matrix) for matrix in (None, contrast)
    )
    louder = refine(noise, wanted + contrast @ wanted, LOG_MEL, iterations=3, momentum=0.0)
    spectra = [extract(made[0], LOG_MEL)[:, 5:195] for made in (plain, sharp, louder)]
    powers = [spectrum.mul(2).exp().sum(0).mean().log().item() for spectrum in spectra]
    assert spectra[1].std(0).mean() > 1.2 * spectra[0].std(0).mean()
    assert abs(powers[1] - powers[0]) < 0.1
    assert powers[2] - powers[0] > 0.2


def test_corrections_fade() -> None:
    """Bands above the second frequency stay as they were; without a fade they do not."""
    noise = torch.randn(1, 160 * 100, generator=torch.Generator().manual_seed(0))
    before = extract(noise[0], LOG_MEL)[:, :100]
    wanted = (before - 2.0)[None]

    def change(fades: tuple[float, float] | None) -> torch.Tensor:
        made = refine(noise, wanted, LOG_MEL, iterations=1, momentum=0.0, fades=fades)
        return (extract(made[0], LOG_MEL)[:, 5:95] - before[:, 5:95]).mean(1)

    faded, full = change((1000.0, 3000.0)), change(None)
    assert torch.allclose(full, torch.full((80,), -2.0), atol=0.1)
    assert torch.allclose(faded[:20], full[:20], atol=0.1)
    assert torch.all(faded[62:].abs() < 0.1)  # the peak of band 54 is at 2947 Hz, FFT bins reach 25 Hz beyond
    assert torch.all(faded[27:54].diff() > -0.1)


@pytest.mark.slow
def test_the_reference_and_the_inverse_stft_agree() -> None:
    from tests.reference import inverse_stft

    random = np.random.default_rng(0)
    for config in (STFT, StftConfig(512, 400, 160), StftConfig(1024, 640, 160)):
        for frames in (1, 2, 3, 20):
            shape = (frames, config.n_fft // 2 + 1)
            spectrum = random.normal(size=shape) + 1j * random.normal(size=shape)
            wanted = inverse_stft(spectrum, config.n_fft, config.win_length, config.hop_length)
            got = inverse_stft_same(torch.from_numpy(spectrum.astype(np.complex64))[None], config)[0].numpy()
            assert got.shape == (config.hop_length * frames,)
            # float32: 2**-24 of sums of some hundred terms of size 1
            assert np.abs(got - wanted).max() < 1e-5
