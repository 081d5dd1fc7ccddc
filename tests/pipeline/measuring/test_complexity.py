"""The complexity card against torch's own counter, and its look-ahead against what streams state."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sqcodec.bitstream import context_model
from sqcodec.errors import ModelError
from sqcodec.features.mel import extract
from sqcodec.model.model_file import load_model
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.coding.streams import StreamDecoder, StreamEncoder
from sqcodec.pipeline.finding.models import SHIPPED  # as it is, before any fixture
from sqcodec.pipeline.measuring import complexity, operations
from sqcodec.recipe import WorldConfig, load_recipe
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.refinement import refine
from sqcodec.vocoder.vocoder_file import load_vocoder, save_vocoder
from sqcodec.vocoder.world import WorldNetwork
from tests.bitstream.examples import make_context
from tests.conftest import make_model, speech_like
from tests.runtime.conftest import make_model as make_small_model
from tests.runtime.conftest import make_vocoder
from tests.train.vocoder.conftest import WORLD

SPEECH16K = SHIPPED / "speech16k" / "model.safetensors"
FRAMES, CODES = 100, 50  # in a second
QUANTIZERS = {
    "IV": ("quantizer.variance=IV",),
    "I": ("quantizer.variance=I",),
    "vmf": ("quantizer={kind: vmf, codewords: 16, dim: 4, initial_concentration: 1.05}",),
    "vq-ema": (
        "quantizer={kind: vq-ema, codewords: 16, dim: 4, decay: 0.999, epsilon: 1.0e-5, reset_below: 0.0,"
        " commitment: 0.25, weighting: sums, initialisation: data}",
    ),
    "fsq": ("quantizer={kind: fsq, levels: [4, 4]}",),
}


def counted(function, *arguments) -> float:
    """MACs of matrix products and convolutions by torch's counter, which has two operations for each."""
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return counter.get_total_flops() / 2


def macs(found: complexity.Complexity, part: str) -> float:
    return sum(group.macs for group in found.groups if group.part == part)


def assert_networks_agree(path: Path, found: complexity.Complexity, codebooks: int) -> None:
    """Three seconds of features, whole codes of 2 or 3 frames, through encoder, search and decoder.

    The counts are integers, and code rates of 100 / 3 are rounded to 53 bits.
    """
    codec = load_model(path)
    features = torch.zeros(1, codec.features.n_mels, 3 * FRAMES + 2)
    with torch.inference_mode():
        encoded = codec.encoder(features)
        z_q = codec.quantizer.decode(codec.quantizer.encode(encoded, codebooks))
        assert 3 * macs(found, "encoder") == pytest.approx(counted(codec.encoder, features), rel=1e-15)
        searched = counted(codec.quantizer.encode, encoded, codebooks)
        assert 3 * macs(found, "search") == pytest.approx(searched, rel=1e-15)
        decoded = counted(codec.decoder, z_q, torch.zeros(1, dtype=torch.int64))
        assert 3 * macs(found, "decoder") == pytest.approx(decoded, rel=1e-15)


@pytest.mark.ships
@pytest.mark.parametrize("codebooks", [1, 4, 8])
def test_what_ships_has_the_operations_that_torch_counts(codebooks: int) -> None:
    codec = open_codec(SPEECH16K, "cpu")
    found = complexity.complexity_of(codec, codebooks=codebooks)
    assert_networks_agree(SPEECH16K, found, codebooks)
    network = load_vocoder(SHIPPED / "speech16k" / "vocoder" / "vocoder.safetensors", codec.features).network
    with torch.inference_mode():
        assert macs(found, "vocoder") == counted(network.spectrum, torch.zeros(1, codec.features.n_mels, FRAMES))
    learned = [*codec.model.encoder.parameters(), codec.model.quantizer.codebook, *codec.model.decoder.parameters(),
               *network.parameters()]  # fmt: skip
    assert found.parameters == sum(parameter.numel() for parameter in learned)
    assert (macs(found, "refinement") > 0) == (codebooks >= 3)


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_the_papers_networks_have_the_operations_that_torch_counts(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.safetensors"
    model = make_model(path, *QUANTIZERS[kind])
    found = complexity.complexity_of(open_codec(path, "cpu"))
    assert_networks_agree(path, found, 1)
    assert (macs(found, "search") == 0) == (kind == "fsq")  # which rounds
    codewords = 0 if kind == "fsq" else model.quantizer.codebook.numel()
    learned = [*model.encoder.parameters(), *model.decoder.parameters()]
    assert found.parameters == codewords + sum(parameter.numel() for parameter in learned)
    assert (found.lookahead, found.latency) == ({}, None)
    assert found.unlimited == "paper-mel features need the loudest sample of the whole recording"
    assert found.vocoder == "griffin-lim"
    transforms = 5 * (2.5 * 512 * 9 + 400)  # of 2 iterations: two pairs and one more, windows of 400
    assert macs(found, "vocoder") == pytest.approx(FRAMES * (transforms + 257 * 80))


@pytest.mark.parametrize("per_code", [2, 3])
def test_runs_of_other_sizes_have_the_operations_that_torch_counts(tmp_path: Path, per_code: int) -> None:
    path = make_small_model(tmp_path / "model.safetensors", f"features.frames_per_code={per_code}", "train.frames=120")
    (tmp_path / "vocoder").mkdir()
    vocoder = make_vocoder(tmp_path / "vocoder" / "vocoder.safetensors", "vocoder.lookahead=3")  # of 2 frames per code
    found = complexity.complexity_of(open_codec(path, "cpu"), codebooks=3)
    assert_networks_agree(path, found, 3)
    if per_code == 2:
        assert found.vocoder == str(vocoder)
        assert found.lookahead == {  # its 64 codewords do not fit into packets, whose codes are bytes
            "code": 20, "features": 20, "encoder": 80, "decoder": 100, "vocoder": 30, "inverse STFT": 20,
        }  # fmt: skip
    else:
        assert found.unlimited == "the vocoder griffin-lim needs segments of 10 s or more"


@pytest.mark.parametrize("kind", FEATURES)
def test_mel_filters_are_those_that_are_multiplied(kind) -> None:
    _, filters = operations.of_features(FEATURES[kind])
    frames = FEATURES[kind].frame_count(16_000)
    assert filters.macs / FRAMES == counted(extract, torch.from_numpy(speech_like(16_000)), FEATURES[kind]) / frames


def test_the_refinement_has_its_filters_and_transforms() -> None:
    config, iterations = FEATURES["log-mel"], 3
    features, sound = torch.zeros(1, 80, 50), torch.from_numpy(speech_like(8000))[None]
    transforms = 2 * iterations * (2.5 * 640 * np.log2(640) + 640)
    for contrast in (None, torch.eye(80)):
        options = {"iterations": iterations, "momentum": 0.9, "contrast": contrast}
        products = counted(lambda: refine(sound, features, config, **options)) / 50  # noqa: B023
        found = operations.of_refinement(config, iterations, contrast=contrast is not None)
        assert found.macs == pytest.approx(FRAMES * (products + transforms))


def test_the_network_of_world_is_counted_and_its_synthesis_is_not(tmp_path: Path, workplace: Path) -> None:
    config = load_recipe("world", (*WORLD, "features.kind=paper-mel")).vocoder
    assert isinstance(config, WorldConfig)
    features = FEATURES["paper-mel"]
    network = WorldNetwork(config, features).eval()
    Path("runs/tiny/vocoder").mkdir()
    save_vocoder(Path("runs/tiny/vocoder/vocoder.safetensors"), network, config=config, features=features, step=1,
                 codec=None)  # fmt: skip
    found = complexity.complexity_of(open_codec(Path("runs/tiny/model.safetensors"), "cpu"))
    with torch.inference_mode():
        assert macs(found, "vocoder") == counted(network, torch.zeros(1, 80, FRAMES))
    assert "The vocoder's network is counted, the synthesis of pyworld is not." in found.notes


def test_the_context_model_has_the_products_that_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context(3, 16, dim=4)
    done = []
    real = context_model._product
    monkeypatch.setattr(
        context_model, "_product", lambda inputs, weight: done.append(inputs.size * weight.shape[1])
        or real(inputs, weight)
    )  # fmt: skip
    state, sums = context.begin(1), np.zeros((1, 4), np.int32)
    layers = context.layers(state, 2)
    for stage in range(2):
        context.frequencies(stage, layers[:, stage], sums, ends=True)
    context.advance(state, sums, np.array([2]))
    assert operations.of_context(context.arrays, FEATURES["log-mel"], 2) == CODES * sum(done)


@pytest.mark.ships
@pytest.mark.parametrize(("name", "latency"), [("speech16k", 180), ("speech16k-live", 120)])
def test_the_look_ahead_is_the_delay_of_streams(name: str, latency: int) -> None:
    codec = open_codec(SHIPPED / name / "model.safetensors", "cpu")
    found = complexity.complexity_of(codec)
    encoder, decoder = StreamEncoder(codec), StreamDecoder(codec)
    samples = encoder.packet_samples + encoder.delay + decoder.delay
    assert found.latency == 1000 * samples / codec.sample_rate == latency
    assert found.lookahead["features"] + found.lookahead["encoder"] == 1000 * encoder.delay / codec.sample_rate


def test_a_plain_vae_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    make_model(path, "quantizer={kind: none, dim: 4}")
    with pytest.raises(ModelError, match="a plain VAE .* has no codes; use a model with a quantizer$"):
        complexity.complexity_of(open_codec(path, "cpu"))
