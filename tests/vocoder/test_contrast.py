"""The fine structure across bands that a vocoder gives back: measured, folded into its first layer."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from sqcodec.recipe import load_recipe
from sqcodec.vocoder.contrast import lost_contrast, with_contrast
from sqcodec.vocoder.istft import IstftNetwork


def spectra(frames, *, seed=0, bands=80):
    return np.random.default_rng(seed).normal(-5, 1, (frames, bands))


def test_the_lost_contrast_is_found_again():
    """What was made flatter by a factor for each band is that factor below the recording."""
    recorded = spectra(4000)
    smooth = gaussian_filter1d(recorded, 6, axis=1, mode="nearest")
    kept = np.linspace(0.4, 1.0, 80)
    found = lost_contrast(torch.from_numpy(recorded), torch.from_numpy(smooth + kept * (recorded - smooth)), 8.7)
    # The blur of fine structure is not nothing: of white noise it takes 1 / (6 sqrt(4 pi)), a twentieth; more at
    # the ends.
    np.testing.assert_allclose(found[2:-2], 1 / kept[2:-2], rtol=1 / 20)


def test_silence_does_not_count():
    recorded, decoded = spectra(1000), 0.5 * spectra(1000)
    silent = np.full((900, 80), -11.5) + 0.01 * spectra(900, seed=1)
    alone = lost_contrast(torch.from_numpy(recorded), torch.from_numpy(decoded), 8.7)
    both = [torch.from_numpy(np.concatenate([frames, silent])) for frames in (recorded, decoded)]
    torch.testing.assert_close(lost_contrast(*both, 8.7), alone)
    assert not torch.allclose(lost_contrast(*both, 0.1), alone)  # the same numbers, all within 8.7 dB
    flat = torch.full((10, 80), -5.0)
    assert torch.equal(lost_contrast(flat, flat, 8.7), torch.ones(80, dtype=torch.float64))


def test_the_first_layer_hears_the_contrast():
    """The spectrum of what the network was given before, with x + part (lost - 1) (x - blur x) in its place."""
    small = ("vocoder.dim=16", "vocoder.hidden=24", "vocoder.layers=2")
    recipe = load_recipe("speech16k", small).codec
    torch.manual_seed(0)
    network = IstftNetwork(recipe.vocoder, recipe.features.configuration).eval()
    network.trunk.scale.set_(torch.linspace(-7, -2, 80), torch.linspace(0.5, 2.5, 80))
    lost = np.linspace(1.0, 2.5, 80)
    given = spectra(60).T[None].astype(np.float32)
    fine = given - gaussian_filter1d(given.astype(np.float64), 6, axis=1, mode="nearest")
    changed = torch.from_numpy((given + 0.5 * (lost - 1)[:, None] * fine).astype(np.float32))
    with torch.inference_mode():
        plain, expected = (network.spectrum(torch.as_tensor(x)).numpy() for x in (given, changed))
        found = with_contrast(network, torch.from_numpy(lost), 0.5).spectrum(torch.as_tensor(given)).numpy()
        after = network.spectrum(torch.as_tensor(given)).numpy()
        target = with_contrast(network, torch.from_numpy(lost), 0.5).contrast.numpy()
    np.testing.assert_allclose(target @ given[0], 0.5 * (lost - 1)[:, None] * fine[0], atol=1e-5)
    inner = slice(30, -10)  # what is beyond the ends is not sharpened
    scale = np.abs(expected[:, inner]).max()
    np.testing.assert_allclose(found[:, inner], expected[:, inner], atol=2e-5 * scale)  # float32 sums of 560 products
    assert np.abs(found - plain).max() > 0.05 * scale
    assert np.array_equal(plain, after)
