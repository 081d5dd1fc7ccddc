"""A codec of parts, by hand and from a recipe."""

import pytest
import torch

from sqcodec.errors import ModelError
from sqcodec.model.assembly import build_codec
from sqcodec.model.convnext_network import ConvNextDecoder, ConvNextEncoder
from sqcodec.model.likelihood import GaussianLikelihood
from sqcodec.model.model_file import save_model
from sqcodec.model.objective import objective
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.quantizers.gaussian import GaussianQuantizer
from sqcodec.recipe import ConvNextConfig, load_recipe
from sqcodec.recipe.quantizer_section import GaussianConfig
from sqcodec.spectrogram import FEATURES

NETWORK = ConvNextConfig(
    dim=16, hidden=32, encoder_layers=1, decoder_layers=1, encoder_lookahead=1, decoder_lookahead=1
)
QUANTIZER = GaussianConfig(variance="I", codewords=16, dim=4, initial_variance=10.0)


def by_hand():
    features = FEATURES["log-mel"]
    quantizer = GaussianQuantizer(QUANTIZER)
    encoder = ConvNextEncoder(NETWORK, features, outputs=quantizer.channels)
    decoder = ConvNextDecoder(NETWORK, features, dim=quantizer.dim, outputs=features.n_mels)
    return SpectrogramCodec(encoder, quantizer, decoder, features=features, likelihood=GaussianLikelihood(0.0, "batch"))


@pytest.mark.slow
def test_a_codec_built_in_code_trains_in_a_plain_loop_and_codes():
    torch.manual_seed(0)
    codec, speaker = by_hand(), torch.zeros(8, dtype=torch.int64)
    optimizer, losses = torch.optim.Adam(codec.parameters(), lr=3e-3), []
    for _ in range(60):
        features = torch.randn(8, 80, 1) + 0.1 * torch.randn(8, 80, 18)
        decoded, quantized = codec(features, speaker, temperature=1.0)
        terms = objective(
            decoded, features[:, :, 1:-1], quantized, likelihood=codec.likelihood, weighting=codec.quantizer.weighting
        )
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
        losses.append(terms.loss.item())
    assert losses[-1] < losses[0]
    codes = codec.eval().encode(features)
    assert (codes.shape, codec.decode(codes, speaker).shape) == ((8, 1, 8), (8, 80, 16))
    assert codec.bit_rate == 200


def test_a_codec_by_hand_says_that_it_has_no_recipe(tmp_path):
    with pytest.raises(ModelError, match=r"built by hand and has no recipe.*build_codec"):
        save_model(tmp_path / "model.safetensors", by_hand(), 0)
    assert not list(tmp_path.iterdir())


def test_a_recipe_builds_the_same_model_as_code():
    sections = (f"quantizer={QUANTIZER.model_dump_json()}", f"network={NETWORK.model_dump_json()}")
    recipe = load_recipe("tiny", (*sections, "features.kind=log-mel"))
    torch.manual_seed(0)
    built = build_codec(recipe)
    torch.manual_seed(0)
    made = by_hand()
    assert list(built.state_dict()) == list(made.state_dict())
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in built.state_dict().items())
    assert (built.fingerprint, built.bit_rate) == (made.fingerprint, made.bit_rate)
    assert built.recipe == recipe


def test_scales_are_set_where_a_network_has_some():
    codec, paper = by_hand(), build_codec(load_recipe("tiny"), ("a",))
    assert (codec.has_band_scales, paper.has_band_scales) == (True, False)
    codec.fit_scales_(torch.full((80,), 2.0), torch.full((80,), 3.0))
    for scale in (codec.encoder.scale, codec.decoder.scale):
        assert (scale.mean.unique().tolist(), scale.deviation.unique().tolist()) == ([2.0], [3.0])
