"""The prior's network and its draws."""

import math

import pytest
import torch

from sqcodec.prior.transformer import CodePrior, draw
from sqcodec.recipe import PriorConfig

CONFIG = PriorConfig(
    layers=2, dim=16, heads=2, context=8, dropout=0.0, steps=1, batch=1, learning_rate=1e-3, warmup=1,
    weight_decay=0.0, evaluate_every=1, seed=0,
)  # fmt: skip


def make_prior(books: int = 2) -> CodePrior:
    torch.manual_seed(0)
    prior = CodePrior(CONFIG, codewords=(5,) * books, speakers=3).eval()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # far from uniform, so that every dependence shows
    return prior


def random_codes(books: int, length: int) -> torch.Tensor:
    return torch.randint(5, (1, books, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("books", [1, 2, 3])
def test_a_code_depends_on_what_came_before_it_and_on_nothing_else(books) -> None:
    prior, codes = make_prior(books), random_codes(books, 6)
    speaker, first = torch.tensor([1]), torch.tensor([prior.start])
    with torch.no_grad():
        before = [logits.clone() for logits in prior(prior.shifted(codes, first), speaker)]
        for time in range(6):
            for book in range(books):
                changed = codes.clone()
                changed[0, book, time] = (changed[0, book, time] + 1) % 5
                after = prior(prior.shifted(changed, first), speaker)
                for other in range(books):
                    same = (after[other] - before[other]).abs().amax(-1)[0] == 0
                    reached = [at > time or (at == time and other > book) for at in range(6)]
                    assert same.tolist() == [not value for value in reached], (time, book, other)
        assert not torch.equal(prior(prior.shifted(codes, first), torch.tensor([2]))[0], before[0])


@pytest.mark.parametrize("books", [1, 2])
def test_nats_are_log_probabilities_of_whole_sequences(books) -> None:
    """Over all sequences of one code a book they sum to one."""
    prior = make_prior(books)
    every = torch.cartesian_prod(*[torch.arange(5)] * books).view(-1, books, 1)
    first, speaker = torch.full((len(every),), prior.start), torch.zeros(len(every), dtype=torch.int64)
    with torch.no_grad():
        nats = prior.nats(every, first, speaker).sum((1, 2))
        empty = prior.nats(torch.full_like(every, -1), first, speaker)
    assert torch.exp(-nats.double()).sum().item() == pytest.approx(1, abs=1e-6)  # float32 sums of 25 terms
    assert not empty.any()


def test_the_most_probable_code_is_drawn_at_top_p_0() -> None:
    prior, generator = make_prior(), torch.Generator().manual_seed(0)
    codes = prior.sample(torch.zeros(2, 0, dtype=torch.int64), 8, 1, temperature=1.0, top_p=0.0, generator=generator)
    with torch.no_grad():
        logits = prior(prior.shifted(codes[None], torch.tensor([prior.start])), torch.tensor([1]))
    assert torch.equal(codes, torch.stack([book[0].argmax(-1) for book in logits]))


@pytest.mark.slow
def test_a_prompt_stays_and_the_context_slides() -> None:
    prior, prompt = make_prior(), random_codes(2, 5)[0]
    drawn = [
        prior.sample(prompt, 30, 0, temperature=1.0, top_p=1.0, generator=torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    ]
    assert drawn[0].shape == (2, 30)
    assert torch.equal(drawn[0][:, :5], prompt)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_draws_follow_the_probabilities_within_top_p() -> None:
    logits = torch.tensor([0.1, 0.6, 0.25, 0.05]).log()
    generator = torch.Generator().manual_seed(0)
    counts = torch.bincount(torch.stack([draw(logits, 0.8, generator) for _ in range(4000)]), minlength=4) / 4000
    share = 0.6 / 0.85
    assert counts[[0, 3]].tolist() == [0, 0]  # 0.6 and 0.25 together hold 0.8
    assert abs(counts[1] - share) < 4 * math.sqrt(share * (1 - share) / 4000)  # four standard deviations
