"""The bound, each term against float64 NumPy."""

import math

import numpy as np
import pytest
import torch

from sqcodec.corpus.store import open_store
from sqcodec.model.model_file import load_model
from sqcodec.pipeline.training.train_codec import train
from sqcodec.recipe import load_recipe
from sqcodec.train.elbo import elbo
from sqcodec.train.log import read_log
from tests import reference
from tests.train.conftest import SMALL

CPU = torch.device("cpu")


def trained(store, folder, *overrides):
    recipe = load_recipe("zerospeech2019", (*SMALL, *overrides))
    train(recipe, store, folder, device="cpu", resume=False, report=lambda entry: None)
    return load_model(folder / "model.safetensors")


def source_of(store):
    split = open_store(store).splits["test"]
    row = split.rows[0]  # the only utterance of a seen speaker; 8123 samples: 50 frames are coded, 48 scored
    return split, torch.tensor(split.features[row.frame : row.frame + 50], dtype=torch.float32).T


@pytest.mark.slow
def test_every_term_is_that_of_the_equation(store, tmp_path):
    codec = trained(store, tmp_path / "run")
    split, features = source_of(store)
    got = elbo(codec, split, CPU, 5)
    encoded = codec.encoder(features[None]).detach()
    z, precision = reference.precision_of(encoded.double().numpy(), codec.quantizer.log_var_scalar.item(), "IV", 4)
    codebook = codec.quantizer.codebook.detach().double().numpy()
    noise = torch.randn(24, 4, generator=torch.Generator().manual_seed(5)).double().numpy()  # the first that is drawn
    z = z + noise / np.sqrt(precision)
    probability = reference.posterior(z, precision, codebook)
    assert got.prior == pytest.approx(24 * math.log(16))
    # float32 against float64 on sums of 24 entropies
    assert got.entropy == pytest.approx(-(probability * np.log(probability + 1e-300)).sum(), rel=1e-4)
    drawn = codec.quantizer.draw(encoded, torch.Generator().manual_seed(5))
    z_q = codebook[drawn.codes.flatten().numpy()]
    assert got.quadratic == pytest.approx(0.5 * (precision * (z - z_q) ** 2).sum() - 24 * 4 / 2, rel=1e-4)
    with torch.inference_mode():
        decoded = codec.decode(drawn.codes, torch.tensor([codec.speakers.index("s1")]))[0]
    sigma2 = ((decoded - features[:, 1:-1]).double() ** 2).mean().item()
    assert got.reconstruction == pytest.approx(80 * 48 / 2 * (1 + math.log(2 * math.pi * sigma2)), rel=1e-6)
    assert got.seconds == pytest.approx(0.48)
    assert got.nats == pytest.approx(got.reconstruction + got.prior - got.entropy + got.quadratic)
    assert got.bits_per_second == pytest.approx(got.nats / math.log(2) / 0.48)
    assert elbo(codec, split, CPU, 6).quadratic != got.quadratic


@pytest.mark.slow
def test_it_is_logged_at_the_end_of_a_training(store, tmp_path):
    trained(store, tmp_path / "run")
    entries = read_log(tmp_path / "run" / "log.jsonl")
    assert [entry["step"] for entry in entries if "bound" in entry] == [20]
    assert {"reconstruction", "prior", "entropy", "quadratic", "nats", "bits_per_second"} <= entries[-1]["bound"].keys()
    assert sum(map(sum, entries[-1]["test_counts"])) == 24


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["vmf", "nc"])
def test_classes_have_their_own_likelihood(store, tmp_path, likelihood):
    codec = trained(store, tmp_path / "run", f"target={{kind: mel-classes, likelihood: {likelihood}}}")
    split, features = source_of(store)
    got = elbo(codec, split, CPU, 5)
    drawn = codec.quantizer.draw(codec.encoder(features[None]), torch.Generator().manual_seed(5))
    raw = codec.decoder(drawn.z_q, torch.tensor([codec.speakers.index("s1")]))
    assert got.reconstruction == pytest.approx(codec.likelihood.fit(raw, features[None, :, 1:-1]).loss.item(), rel=1e-5)
    last = read_log(tmp_path / "run" / "log.jsonl")[-1]
    decoded = codec.decode(codec.encode(features[None]), torch.tensor([codec.speakers.index("s1")]))[0]
    classes = codec.classes
    right = (classes.of(decoded) == classes.of(features[:, 1:-1])).double().mean().item()
    assert last["test_accuracy"] == pytest.approx(right)
    assert 0 <= last["test_clipped"] < 0.01
    error = (decoded - features[:, 1:-1]).double().square().mean().item() * 80**2
    assert last["test_mse"] == pytest.approx(error, rel=1e-6)


@pytest.mark.slow
def test_a_plain_vae_trains_and_has_no_codes(store, tmp_path):
    codec = trained(store, tmp_path / "run", "quantizer={kind: none, dim: 4}")
    last = read_log(tmp_path / "run" / "log.jsonl")[-1]
    assert "test_mse" in last
    assert not {"test_perplexity", "epoch_perplexity"} & last.keys()
    assert last["bound"]["prior"] == 0
    assert codec.bit_rate == 0


@pytest.mark.slow
def test_every_stage_of_a_residual_quantiser_is_counted(store, tmp_path):
    section = (
        "quantizer={kind: residual, stages: 3, codewords: 8, dim: 4,"
        " initial_variance: 1.0, ratio: 0.25, dropout: 0.5, warmup_steps: 0, freeze_step: null}"
    )
    codec = trained(store, tmp_path / "run", section)
    last = read_log(tmp_path / "run" / "log.jsonl")[-1]
    assert [sum(book) for book in last["test_counts"]] == [24, 24, 24]
    for name in ("test_perplexity", "test_perplexity_2", "test_perplexity_3", "epoch_perplexity_3"):
        assert 1 <= last[name] <= 8
    assert last["bound"]["prior"] == pytest.approx(3 * 24 * math.log(8))
    assert codec.bit_rate == 3 * 3 * 50
    features = torch.randn(1, 80, 42)
    codes = codec.encode(features)
    assert codes.shape == (1, 3, 20)
    speaker = torch.tensor([0])
    prefixes = [codec.decode(codes[:, :stages], speaker) for stages in (1, 2, 3)]
    assert not torch.allclose(prefixes[0], prefixes[1])
    assert not torch.allclose(prefixes[1], prefixes[2])


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["sums", "means"])
def test_vq_trains_with_either_weighting(store, tmp_path, weighting):
    section = (
        "quantizer={kind: vq-ema, codewords: 16, dim: 4, commitment: 0.25, decay: 0.99, epsilon: 1.0e-5,"
        f" reset_below: 0.1, weighting: {weighting}, initialisation: data}}"
    )
    trained(store, tmp_path / "run", section, "train.steps=60", "train.learning_rate=5.0e-3")
    entries = read_log(tmp_path / "run" / "log.jsonl")
    losses = [entry["mse"] for entry in entries if "mse" in entry]
    assert losses[-1] < losses[0]
    assert "log_var" not in entries[-1]  # there is none
    assert entries[-1]["bound"]["entropy"] == 0
