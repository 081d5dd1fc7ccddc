"""The ConvNeXt codec for any speaker: blocks, look-ahead, files."""

import pytest
import torch

from sqcodec.errors import RecipeError
from sqcodec.model.assembly import build_codec
from sqcodec.model.blockwise import decode_features, encode_features, with_context
from sqcodec.model.model_file import load_model, save_model
from sqcodec.model.spectrogram_codec import NO_SPEAKER
from sqcodec.recipe import load_recipe

SMALL = (
    "network={kind: convnext, dim: 16, hidden: 24, encoder_layers: 2, decoder_layers: 3, encoder_lookahead: 1,"
    " decoder_lookahead: 2}",
    "quantizer.codewords=16", "quantizer.dim=6", "quantizer.stages=3",
)  # fmt: skip


def small(*overrides):
    torch.manual_seed(0)
    codec = build_codec(load_recipe("speech16k", (*SMALL, *overrides)), ()).eval()
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if name.endswith("depthwise.weight"):
                parameter.mul_(20)  # so that neighbours matter
    return codec


def test_the_shipped_recipe_has_the_bit_rates_and_the_look_ahead_it_says():
    codec = build_codec(load_recipe("speech16k"), ())
    assert codec.bit_rate == 4000
    assert codec.quantizer.codebooks == 10
    # an even frame waits for 2 + 2 frames of the encoder and 4 of the decoder: 80 ms, of 100 allowed
    assert codec.encoder.lookahead + codec.decoder.lookahead == 8


@pytest.mark.parametrize("per_code", [1, 3])
def test_a_code_may_cover_another_number_of_frames(per_code, tmp_path):
    codec = small(f"features.frames_per_code={per_code}", "train.frames=120")
    features = torch.randn(80, 200, generator=torch.Generator().manual_seed(1))
    whole = codec.encode(with_context(codec, features)[None])[0]
    assert whole.shape == (3, -(-200 // per_code))
    blocks = [codes for _, codes in encode_features(codec, features.split(50, dim=1), 200, torch.device("cpu"))]
    assert torch.equal(torch.cat(blocks, dim=1), whole)
    decoded = torch.cat(list(decode_features(codec, whole.numpy().astype("uint16"), NO_SPEAKER)), dim=1)
    assert decoded.shape == (80, per_code * whole.shape[1])
    save_model(tmp_path / "model.safetensors", codec, 0)
    assert load_model(tmp_path / "model.safetensors").fingerprint == codec.fingerprint != small().fingerprint


@pytest.mark.parametrize(("frames", "behind"), [(6, 1), (7, 2)])
def test_edges_are_repeated_to_whole_codes_and_a_frame_of_context(frames, behind):
    features = torch.arange(2.0 * frames).reshape(2, frames)
    got = with_context(small(), features)
    assert torch.equal(got, torch.cat([features[:, :1], features, features[:, -1:].expand(-1, behind)], dim=1))


def test_a_model_for_any_speaker_lists_no_names():
    codec = small()
    assert codec.speakers == ()
    assert codec.knows("anybody")
    assert codec.speaker_index("anybody") == NO_SPEAKER


def test_a_block_with_the_margin_gives_what_the_whole_gives():
    codec = small()
    features = torch.randn(1, 80, 122)
    whole, margin = codec.encoder(features), codec.encoder.margin
    start, stop = 40, 60
    block = codec.encoder(features[:, :, start - margin : stop + margin + 2])
    kept = block[:, margin // 2 : (margin + stop - start) // 2]
    torch.testing.assert_close(kept, whole[:, start // 2 : stop // 2], rtol=1e-5, atol=1e-5)  # other order of sums
    latents, voice = torch.randn(1, 60, 6), torch.tensor([NO_SPEAKER])
    decoded, margin = codec.decoder(latents, voice), codec.decoder.margin
    part = codec.decoder(latents[:, 25 - margin : 35 + margin], voice)
    torch.testing.assert_close(part[:, :, 2 * margin : 2 * margin + 20], decoded[:, :, 50:70], rtol=1e-5, atol=1e-5)


def test_the_encoder_sees_as_far_ahead_as_it_says_and_no_further():
    codec = small()
    features = torch.randn(1, 80, 82, requires_grad=True)  # frame t of the recording is column t + 1
    codec.encoder(features)[0, 20].sum().backward()
    reached = features.grad.abs().sum((0, 1)).nonzero().flatten()
    assert int(reached.max()) - 1 == 40 + codec.encoder.lookahead  # code 20 begins with frame 40


def test_the_decoder_sees_as_far_ahead_as_it_says_and_no_further():
    codec = small()
    latents = torch.randn(1, 40, 6, requires_grad=True)
    codec.decoder(latents, torch.tensor([NO_SPEAKER]))[0, :, 40].sum().backward()
    reached = latents.grad.abs().sum((0, 2)).nonzero().flatten()
    assert 2 * (int(reached.max()) - 20) == codec.decoder.lookahead


def test_a_batch_of_one_is_a_batch_of_many():
    codec = small()
    features = torch.randn(3, 80, 42)
    codes = codec.encode(features)
    assert torch.equal(torch.cat([codec.encode(one[None]) for one in features]), codes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_file_gives_back_codes_and_spectrograms(tmp_path, dtype):
    codec = small().to(dtype).float()
    save_model(tmp_path / "model.safetensors", codec, 3, dtype=dtype)
    again = load_model(tmp_path / "model.safetensors")
    assert again.fingerprint == codec.fingerprint
    assert {value.dtype for value in again.state_dict().values()} == {torch.float32}
    features = torch.randn(1, 80, 42)
    codes = codec.encode(features)
    assert torch.equal(again.encode(features), codes)
    voice = torch.tensor([NO_SPEAKER])
    assert torch.equal(again.decode(codes[:, :2], voice), codec.decode(codes[:, :2], voice))


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("network.encoder_lookahead=7", "network: encoder_lookahead must be at most 6 codes with 2 layers, got 7"),
        ("network.channels=8", "network.channels: unknown key"),
        ("features.kind=paper-mel", "train.level: paper-mel features carry no level"),
        ("train.level=[-3, -9]", r"train.level: must rise and stay at 0 dB or below, got \[-3.0, -9.0\]"),
        (
            "quantizer={kind: gaussian, variance: II, codewords: 4, dim: 4, initial_variance: 1.0}",
            "quantizer.variance II needs network.kind paper",
        ),
    ],
)
def test_impossible_recipes_are_refused(override, text):
    with pytest.raises(RecipeError, match=text):
        load_recipe("speech16k", (SMALL[0], override))
