"""The rate in the training loss: against the equations, the paper's loss as a case of it, resuming, fewer bits."""

import math

import numpy as np
import pytest
import torch

from sqcodec.corpus.store import open_store
from sqcodec.errors import RecipeError, TrainingError
from sqcodec.model.model_header import read_context
from sqcodec.pipeline.training.launch import make_fabric
from sqcodec.pipeline.training.train_context import train_context
from sqcodec.recipe import load_recipe
from sqcodec.train.codec_trainer import CodecTrainer
from sqcodec.train.context_network import to_integers
from sqcodec.train.elbo import elbo
from tests import reference
from tests.train.conftest import SMALL

CPU = torch.device("cpu")
RESIDUAL = "kind: residual, stages: 2, codewords: 16, dim: 4, initial_variance: 1.0, ratio: 0.5"
SETTINGS = (
    *(change for change in SMALL if not change.startswith(("network", "quantizer", "train.steps"))),
    "network={kind: convnext, dim: 12, hidden: 16, encoder_layers: 1, decoder_layers: 1, encoder_lookahead: 1,"
    " decoder_lookahead: 1}",
    "context.hidden=12", "context.width=10", "train.temperature_rate=0", "train.learning_rate=3.0e-3",
)  # fmt: skip

FREEZING = "dropout: 0.5, warmup_steps: 2, freeze_step: 5"


def make_trainer(store, folder, *overrides, steps=20, schedule="dropout: 0.5, warmup_steps: 0, freeze_step: null"):
    quantizer = f"quantizer={{{RESIDUAL}, {schedule}}}"
    recipe = load_recipe("zerospeech2019", (*SETTINGS, quantizer, f"train.steps={steps}", *overrides)).codec
    folder.mkdir(exist_ok=True)
    return CodecTrainer(recipe, open_store(store), folder, make_fabric("cpu", "32-true"))


def advance(trainer, steps):
    trainer.model.train()
    for _ in range(steps):
        trainer.advance()
    return trainer


def all_equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_rate_and_its_gradients_are_those_of_the_equations(store, tmp_path, monkeypatch):
    trainer = make_trainer(store, tmp_path / "run", "train.rate=1.0", schedule="dropout: 0.0, warmup_steps: 0, "
                           "freeze_step: null")  # fmt: skip
    torch.nn.init.normal_(trainer.context.output)
    torch.nn.init.normal_(trainer.context.output_bias)
    quantizer = trainer.codec.quantizer
    encoded = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    monkeypatch.setattr(trainer.codec.encoder, "forward", lambda features: encoded)
    trainer.model.train()
    _, rate = trainer.rated(torch.zeros(1, 80, 12), torch.zeros(1, dtype=torch.int64), 1.0,
                            torch.Generator().manual_seed(2))  # fmt: skip
    rate.saved.sum().backward()
    assert all(each.grad is None for each in trainer.context.parameters())
    got = [encoded.grad[0], quantizer.codebook.grad, quantizer.log_var.grad]
    generator = torch.Generator().manual_seed(2)
    quantized = quantizer(encoded, 1.0, generator)  # its samples come first
    codes = quantizer.posterior(encoded, quantized, generator).codes[0].numpy()
    weights = {name: each.detach().double().numpy() for name, each in trainer.context.named_parameters()}
    gains = reference.context_gains(codes, trainer.context.grid.double().numpy(), weights)
    point = [encoded[0].detach().double().numpy(), quantizer.codebook.detach().double().numpy(),
             quantizer.log_var.detach().double().numpy()]  # fmt: skip

    def saved(z, codebooks, log_var):
        return reference.residual_rate(z, codebooks, np.exp(log_var), codes, gains)

    # sums of 160 products in float32, of scores below 10: 2^-24 times a few hundred operations
    assert rate.saved.item() == pytest.approx(saved(*point), rel=1e-4, abs=1e-4)
    assert rate.learned.item() == rate.saved.item()
    assert rate.coded.item() == 2 * 5
    for place, found in enumerate(got):

        def of_one(value, place=place):
            return saved(*(value if index == place else other for index, other in enumerate(point)))

        # differences of step 1e-6 in float64 err by 1e-8; the gradient in float32 as above
        np.testing.assert_allclose(found.numpy(), reference.gradient(of_one, point[place]), rtol=1e-3, atol=2e-4)


def test_a_uniform_prior_is_the_papers_loss_to_the_digit(store, tmp_path):
    """The context model begins uniform: loss and gradients of the first step are those without it, bit for bit."""
    paper = advance(make_trainer(store, tmp_path / "paper"), 1)
    rated = advance(make_trainer(store, tmp_path / "rated", "train.rate=3.0"), 1)
    means = rated.losses.means()
    assert means["saved"] == 0.0
    assert {name: value for name, value in means.items() if name not in ("saved", "coded")} == paper.losses.means()
    assert all_equal(paper.codec.state_dict(), rated.codec.state_dict())
    advance(paper, 1), advance(rated, 1)
    assert rated.losses.means()["saved"] != 0.0
    assert not all_equal(paper.codec.state_dict(), rated.codec.state_dict())


def test_with_a_weight_of_0_the_codec_is_the_papers_and_the_context_model_learns_it(store, tmp_path):
    paper = advance(make_trainer(store, tmp_path / "paper"), 4)
    rated = advance(make_trainer(store, tmp_path / "rated", "train.rate=0"), 4)
    assert all_equal(paper.codec.state_dict(), rated.codec.state_dict())
    assert rated.context.output.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["dropout: 0.5, warmup_steps: 0, freeze_step: null", FREEZING])
def test_a_training_resumes_bit_for_bit(store, tmp_path, schedule):
    whole = advance(make_trainer(store, tmp_path / "whole", "train.rate=1.0", schedule=schedule), 7)
    parts = advance(make_trainer(store, tmp_path / "parts", "train.rate=1.0", schedule=schedule), 4)
    parts.save()
    resumed = make_trainer(store, tmp_path / "parts", "train.rate=1.0", schedule=schedule)
    resumed.resume()
    advance(resumed, 3)
    assert all_equal(whole.codec.state_dict(), resumed.codec.state_dict())
    assert all_equal(whole.context.state_dict(), resumed.context.state_dict())
    assert whole.losses.means() == resumed.losses.means()


def test_frozen_steps_teach_the_context_model_the_codes_of_the_search(store, tmp_path):
    trainer = advance(make_trainer(store, tmp_path / "run", "train.rate=1.0",
                                   schedule="dropout: 0, warmup_steps: 0, freeze_step: 2"), 3)  # fmt: skip
    before = {name: value.clone() for name, value in trainer.context.state_dict().items()}
    trainer.codec.quantizer.frozen = True
    encoded = torch.randn(1, 6, 4)
    quantized = trainer.codec.quantizer(encoded, 1.0)
    rate = trainer.rated._rate(encoded, quantized, torch.Generator())
    assert torch.equal(quantized.codes, trainer.codec.quantizer.encode(encoded))
    # the same sum twice, over all codes and over the one that is certain
    assert rate.saved.item() == pytest.approx(trainer.rated.saved(quantized.codes).item(), rel=1e-5)
    advance(trainer, 1)
    assert not torch.equal(before["output"], trainer.context.state_dict()["output"])


def test_a_training_that_began_without_the_rate_goes_on_with_it_and_back(store, tmp_path):
    advance(make_trainer(store, tmp_path / "run"), 2).save()
    rated = make_trainer(store, tmp_path / "run", "train.rate=1.0")
    rated.resume()
    assert rated.context.output.abs().sum() == 0
    advance(rated, 2).save()
    plain = make_trainer(store, tmp_path / "run")
    plain.resume()
    assert all_equal(plain.codec.state_dict(), rated.codec.state_dict())
    assert advance(plain, 1).step == 5


@pytest.mark.slow
def test_bits_fall_with_the_weight(store, tmp_path):
    """Bits of a code by context models that learned as long, mean of the last 60 steps: 3.3, 3.1 and 2.0."""
    bits = []
    for weight in (0.0, 5.0, 30.0):
        trainer = advance(make_trainer(store, tmp_path / f"{weight}", f"train.rate={weight}", steps=200), 120)
        trainer.losses.means()
        means = advance(trainer, 60).losses.means()
        bits.append(trainer.log_entry(means)["bits"])
    assert math.log2(16) > bits[0] > bits[1] + 0.05
    assert bits[1] > bits[2] + 0.5


@pytest.mark.slow
def test_the_stage_context_begins_with_the_model_that_was_trained_along(store, tmp_path):
    """At a learning rate that moves nothing it ends with the same integers."""
    still = ("train.rate=1.0", "context.learning_rate=1.0e-12", "context.steps=1", "context.batch=2",
             "context.frames=8")  # fmt: skip
    trainer = make_trainer(store, tmp_path / "run", "train.rate=1.0", schedule=FREEZING)
    advance(trainer, 8).save()
    recipe = make_trainer(store, tmp_path / "other", *still, schedule=FREEZING).recipe
    train_context(recipe, store, tmp_path / "run", device="cpu", resume=False, report=lambda entry: None)
    context = read_context(tmp_path / "run" / "model.safetensors")
    expected = to_integers(trainer.context)
    assert context.keys() == expected.arrays.keys()
    assert all(np.array_equal(context[name], array) for name, array in expected.arrays.items())


def test_the_stage_context_refuses_a_model_of_another_size(store, tmp_path):
    trainer = make_trainer(store, tmp_path / "run", "train.rate=1.0", schedule=FREEZING)
    advance(trainer, 1).save()
    recipe = make_trainer(store, tmp_path / "other", "context.width=11", schedule=FREEZING).recipe
    with pytest.raises(TrainingError) as caught:
        train_context(recipe, store, tmp_path / "run", device="cpu", resume=False, report=lambda entry: None)
    assert str(caught.value) == (
        f"{tmp_path}/run/checkpoint.pt: its context model.from_sum has another shape than the recipe's; set"
        " context.hidden and context.width as there"
    )


def test_the_bound_has_the_prior_of_the_context_model(store, tmp_path):
    trainer = advance(make_trainer(store, tmp_path / "run", "train.rate=1.0"), 3)
    split = open_store(store).splits["test"]
    uniform, learned = (elbo(trainer.codec, split, CPU, 5, saved) for saved in (None, trainer.rated.saved))
    assert (uniform.entropy, uniform.quadratic) == (learned.entropy, learned.quadratic)
    codes = []
    elbo(trainer.codec, split, CPU, 5, lambda drawn: codes.append(drawn) or torch.zeros(1))
    weights = {name: each.detach().double().numpy() for name, each in trainer.context.named_parameters()}
    expected = 0.0
    for drawn in codes:
        gains = reference.context_gains(drawn[0].numpy(), trainer.context.grid.double().numpy(), weights)
        expected += np.take_along_axis(gains, drawn[0].numpy()[..., None], axis=-1).sum()
    assert uniform.prior - learned.prior == pytest.approx(expected, rel=1e-4)  # float32 sums of some 100 scores
    assert expected != 0


def test_recipes_that_cannot_have_a_rate_are_refused():
    text = "train.rate needs a section context, and quantizer.kind residual"
    for overrides in (("train.rate=1.0",), (f"quantizer={{{RESIDUAL}, dropout: 0, warmup_steps: 0, freeze_step: null}}",
                                            "context=null", "train.rate=1.0")):  # fmt: skip
        with pytest.raises(RecipeError, match=text):
            load_recipe("zerospeech2019", overrides)
    with pytest.raises(RecipeError, match=r"train\.rate: Input should be greater than or equal to 0"):
        load_recipe("speech16k", ("train.rate=-1",))
