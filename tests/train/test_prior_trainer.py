"""Training a prior: it learns what is in the codes, and what it reports is right."""

import math

import numpy as np
import pytest
import torch

from sqcodec.errors import TrainingError
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import PriorConfig
from sqcodec.train.prior_trainer import CodedUtterance, bits_a_code, train_prior

CPU = torch.device("cpu")


def make_config(**changes) -> PriorConfig:
    fields = {
        "layers": 1, "dim": 32, "heads": 2, "context": 16, "dropout": 0.0, "steps": 150, "batch": 16,
        "learning_rate": 1e-2, "warmup": 5, "weight_decay": 0.0, "evaluate_every": 50, "seed": 0,
    }  # fmt: skip
    return PriorConfig(**(fields | changes))


def chains(number: int, length: int, seed: int) -> list[CodedUtterance]:
    """Speaker 0 goes up by one or two at each step, speaker 1 down; one bit a code, once the speaker is known."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(number):
        speaker = index % 2
        steps = rng.integers(1, 3, (1, length)) * (1 - 2 * speaker)
        made.append(CodedUtterance((np.cumsum(steps, axis=1) + rng.integers(8)) % 8, speaker))
    return made


def test_it_learns_a_chain_and_tells_the_speakers_apart() -> None:
    config = make_config()
    torch.manual_seed(0)
    prior = CodePrior(config, codewords=(8,), speakers=2)
    test, entries = chains(6, 40, 1), []
    bits = train_prior(prior, chains(40, 40, 0), test, config, device=CPU, report=entries.append)
    assert [entry["step"] for entry in entries] == [50, 100, 150]
    assert bits == entries[-1]["test_bits"] == bits_a_code(prior, test, CPU)
    ideal = (3 + 39) / 40  # the first code is any of eight
    assert ideal - 0.1 < bits < ideal + 0.15
    wrong = [CodedUtterance(codes, 1 - speaker) for codes, speaker in test]
    assert bits_a_code(prior, wrong, CPU) > bits + 0.5


def test_the_same_seed_trains_the_same_prior() -> None:
    config, made = make_config(steps=5, dropout=0.1), []
    for _ in range(2):
        torch.manual_seed(0)
        prior = CodePrior(config, codewords=(8,), speakers=2)
        train_prior(prior, chains(4, 40, 0), chains(2, 10, 1), config, device=CPU, report=lambda entry: None)
        made.append(prior.state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


def test_bits_of_long_utterances_count_every_code_once() -> None:
    """Without layers a code's probability depends on the code before alone: windows must not change the sum."""
    config = make_config(context=8)
    torch.manual_seed(0)
    prior = CodePrior(config, codewords=(8,), speakers=2)
    with torch.no_grad():
        prior.places.zero_()
        prior.layers[0].out.weight.zero_(), prior.layers[0].out.bias.zero_()
    codes = chains(1, 61, 3)
    long = prior.eval()
    with torch.no_grad():
        every = torch.from_numpy(codes[0].codes)
        first = torch.cat([torch.tensor([prior.start]), every[0, :-1]])
        nats = sum(
            long.nats(every[None, :, at : at + 1], first[at : at + 1], torch.tensor([0])).item() for at in range(61)
        )
    assert bits_a_code(prior, codes, CPU) == pytest.approx(nats / 61 / math.log(2), rel=1e-5)


def test_a_loss_gone_bad_is_an_error() -> None:
    config = make_config(learning_rate=1e30, steps=20)
    prior = CodePrior(config, codewords=(8,), speakers=2)
    with pytest.raises(TrainingError, match=r"^the prior's loss is not finite at step \d+: lower prior.learning_rate"):
        train_prior(prior, chains(4, 40, 0), chains(2, 9, 1), config, device=CPU, report=lambda entry: None)
