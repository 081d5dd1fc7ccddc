"""The losses of the ISTFT vocoder against NumPy, and crops: sound and features of the same place at the same level."""

import librosa
import numpy as np
import pytest
import torch

from sqcodec.errors import RecipeError
from sqcodec.features.mel import extract
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES
from sqcodec.train.vocoder.discriminators import (
    Families,
    Judgement,
    LogSpectrumDiscriminator,
    PeriodDiscriminator,
)
from sqcodec.train.vocoder.losses import discriminator_loss, generator_loss, matching_loss, spectral_loss
from sqcodec.train.vocoder.sound_crops import SoundCrops
from tests.train.vocoder.conftest import ISTFT


def test_filters_that_an_evaluation_kept_serve_a_training() -> None:
    with torch.inference_mode():
        spectral_loss(torch.ones(1, 300), torch.ones(1, 300), (240,), 16000)
    sound = torch.ones(1, 300, requires_grad=True)
    spectral_loss(sound, torch.zeros(1, 300), (240,), 16000).mel.backward()
    assert sound.grad is not None
    assert sound.grad.isfinite().all()


@pytest.mark.slow
def test_the_spectral_loss_matches_librosa() -> None:
    random = np.random.default_rng(0)
    made, natural = random.normal(size=(2, 2, 4096)) * np.array([[[0.1]], [[0.3]]])
    mel, stft = [], []
    for n_fft in (512, 128):
        one, other = (np.abs(spectra(sound, n_fft)) for sound in (made, natural))
        filters = librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=n_fft // 10, fmax=8000)
        mel.append(np.abs(log(filters @ one) - log(filters @ other)).mean())
        convergence = np.linalg.norm(one - other) / np.linalg.norm(other)
        stft.append(convergence + np.abs(log(one) - log(other)).mean())
    got = spectral_loss(*(torch.from_numpy(x).float() for x in (made, natural)), (512, 128), 16000)
    # float32 FFTs and sums of 1e4 terms
    assert got.mel.item() == pytest.approx(np.mean(mel), rel=1e-4)
    assert got.stft.item() == pytest.approx(np.mean(stft), rel=1e-4)


def spectra(sound, n_fft):
    return librosa.stft(sound, n_fft=n_fft, hop_length=n_fft // 4, center=False)


def log(amplitude):
    return np.log(np.maximum(amplitude, 1e-5))


def test_a_perfect_sound_costs_nothing_and_silence_has_a_gradient() -> None:
    natural = torch.randn(1, 2048)
    assert spectral_loss(natural, natural, (512,), 16000) == (0.0, 0.0)
    silent = torch.zeros(1, 2048, requires_grad=True)
    sum(spectral_loss(silent, natural, (512,), 16000)).backward()
    assert torch.isfinite(silent.grad).all()


def test_hinges_and_matching() -> None:
    real = [Judgement(torch.tensor([2.0, 0.5]), [torch.zeros(2), torch.tensor([1.0, 3.0])])]
    fake = [Judgement(torch.tensor([-3.0, 0.0]), [torch.ones(2), torch.tensor([1.0, 0.0])])]
    assert discriminator_loss(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 1) / 2)
    assert generator_loss(fake).item() == pytest.approx((4 + 1) / 2)
    assert matching_loss(real, fake).item() == pytest.approx(1.5)  # the first layer is left out
    assert discriminator_loss(real, [fake[0]._replace(score=torch.tensor([-1.0]))]).item() == pytest.approx(0.25)


def test_a_period_discriminator_keeps_every_pth_sample_together() -> None:
    torch.manual_seed(0)
    judge = PeriodDiscriminator(5, (3, 4))
    sound = torch.randn(2, 303)
    changed = sound.clone()
    changed[0, 7::5] += 1.0  # one phase of five, of the first sound only
    moved = (judge(changed).score - judge(sound).score).abs().flatten(1).sum(1)
    assert moved.nonzero().flatten().tolist() == [2]


def test_families_judge_with_the_recipes_members() -> None:
    families = Families(load_recipe("istft", ISTFT).vocoder.discriminators)
    judged = families(torch.randn(2, 1600))
    assert {name: len(members) for name, members in judged.items()} == {"periods": 2, "resolutions": 1}
    assert all(len(one.layers) == 2 for members in judged.values() for one in members)


def test_normalised_log_magnitudes_have_mean_0_and_variance_1() -> None:
    torch.manual_seed(0)
    judge = LogSpectrumDiscriminator(256, (2, 3))
    recorded = torch.randn(4, 6400) * torch.tensor([0.01, 0.03, 0.1, 0.3])[:, None]
    judge.normalise_(recorded)
    spectra_ = np.abs(spectra(recorded.double().numpy(), 256) / 16) ** 2  # orthonormal: 1 / sqrt(256)
    log_magnitudes = 0.5 * np.log(spectra_ + 1e-8)  # [B, bins, T]
    bins = log_magnitudes.transpose(1, 0, 2).reshape(129, -1)
    # float32 logarithms of spectra of 256 terms
    np.testing.assert_allclose(judge.mean.numpy(), bins.mean(1), atol=1e-4)
    np.testing.assert_allclose(judge.deviation.numpy(), bins.std(1, ddof=1), rtol=1e-4)
    seen = []
    judge.layers[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    judge(recorded)
    assert seen[0].mean().abs() < 1e-4
    frames = bins.shape[1]
    assert seen[0].std().item() == pytest.approx(
        ((frames - 1) / frames) ** 0.5, abs=1e-4
    )  # n - 1 degrees of freedom a bin


def test_families_without_members_do_not_take_part() -> None:
    none = ("vocoder.discriminators.periods.members=[]", "vocoder.discriminators.resolutions.members=[]")
    slim = "vocoder.discriminators.log_spectra={members: [512, 256], channels: [2, 3], weight: 1.0}"
    families = Families(load_recipe("istft", (*ISTFT, *none, slim)).vocoder.discriminators)
    assert {name: len(members) for name, members in families(torch.randn(2, 1600)).items()} == {"log_spectra": 2}
    with pytest.raises(RecipeError, match="none of its families has members"):
        load_recipe("istft", (*ISTFT, *none))
    with pytest.raises(RecipeError, match="must cover its longest resolution"):
        load_recipe("istft", (*ISTFT, *none, slim, "vocoder.discriminators.margins=[5, 2]"))  # 9 of 16 frames are left


@pytest.mark.parametrize("kind", ["log-mel", "paper-mel"])
def test_sound_and_features_of_a_crop_are_aligned(kind, tmp_path) -> None:
    from sqcodec.corpus.store import open_store
    from tests.train.vocoder.conftest import make_sound_store

    store, config = open_store(make_sound_store(tmp_path / "c", kind=kind)), FEATURES[kind]
    train = load_recipe("istft", (*ISTFT, "vocoder.train.smoothing=0", "vocoder.train.batch=8")).vocoder.train
    crops = SoundCrops(store.splits["train"], config, train, torch.device("cpu"))
    batch = crops.draw(5)
    assert batch.features.shape == (8, 80, 16)
    assert batch.sound.shape == (8, 2560)
    for features, sound in zip(batch.features, batch.sound, strict=True):
        again = extract(torch.cat([sound[80:], sound.new_zeros(80)]), config)[:, 3:13]  # frame t on sample 160 t + 80
        difference = again - features[:, 3:13]
        if config.dynamic_range:  # the crop's own peak normalises it anew
            difference = difference - difference.median()
        # int16 audio and float16 features at whatever level: a few hundredths of a neper, less of 80 dB
        assert difference.abs().mean() < (0.1 if config.dynamic_range is None else 0.02)
    assert torch.equal(crops.draw(5).sound, batch.sound)
    assert not torch.equal(crops.draw(6).sound, batch.sound)


def test_levels_are_drawn_where_features_carry_one(opened) -> None:
    overrides = (*ISTFT, "vocoder.train.batch=64", "vocoder.train.level=[-20, -6]", "vocoder.train.smoothing=1.0")
    train = load_recipe("istft", overrides).vocoder.train
    crops = SoundCrops(opened.splits["train"], FEATURES["log-mel"], train, torch.device("cpu"))
    loudest = 20 * np.log10(crops.draw(0).sound.abs().max().item())
    assert -12 < loudest <= -5.9
    assert crops.draw(0).features.isfinite().all()
