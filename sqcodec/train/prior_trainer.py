"""Training a prior on the codes of a training set, which are all in memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.errors import TrainingError
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import PriorConfig
from sqcodec.train.crops import step_seed

_DRAWS, _NOISE = range(2)  # the random streams
Report = Callable[[dict[str, Any]], None]


class CodedUtterance(NamedTuple):
    """The codes [K, T] of one utterance and whose voice it is."""

    codes: NDArray[np.integer[Any]]
    speaker: int


def train_prior(
    prior: CodePrior,
    train: Sequence[CodedUtterance],
    test: Sequence[CodedUtterance],
    config: PriorConfig,
    *,
    device: torch.device,
    report: Report,
) -> float:
    """Train in place; returns bits a code on `test` at the end. Raises TrainingError: the loss is not finite."""
    windows = _Windows(prior, train, config.context, device)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    bits, total, counted = math.inf, 0.0, 0
    prior.train()
    for step in range(1, config.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        torch.manual_seed(step_seed(config.seed, step, _NOISE))
        batch = windows.draw(config.batch, step_seed(config.seed, step, _DRAWS))
        nats = prior.nats(*batch).sum() / (batch.codes >= 0).sum()
        optimizer.zero_grad(set_to_none=True)
        nats.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimizer.step()
        total, counted = total + nats.item(), counted + 1
        if not math.isfinite(total):
            raise TrainingError(
                f"the prior's loss is not finite at step {step}: lower prior.learning_rate with `overrides`"
            )
        if step % config.evaluate_every == 0 or step == config.steps:
            bits = bits_a_code(prior, test, device)
            report({"step": step, "bits": total / counted / math.log(2), "test_bits": bits})
            total, counted = 0.0, 0
    return bits


def bits_a_code(prior: CodePrior, sequences: Sequence[CodedUtterance], device: torch.device) -> float:
    """-log2 p a code, each predicted from at least half a context where there is as much before it."""
    training, context = prior.training, prior.config.context
    prior.eval()
    nats = number = 0.0
    with torch.inference_mode():
        for codes, speaker in sequences:
            every = torch.from_numpy(np.asarray(codes, np.int64)).to(device)
            voice = torch.tensor([speaker], device=device)
            for begin, fresh in _strides(every.shape[1], context):
                window = every[None, :, begin : begin + context]
                losses = prior.nats(window, prior.first_token(every, begin), voice)
                nats += float(losses[:, :, fresh:].sum())
            number += every.numel()
    prior.train(training)
    return nats / number / math.log(2)


def _strides(length: int, context: int) -> Iterator[tuple[int, int]]:
    """Windows (first code, first code within that is not counted yet) that cover `length` codes."""
    begin, done = 0, 0
    while done < length:
        yield begin, done - begin
        done = begin + context
        begin = done - context // 2


def _schedule(step: int, config: PriorConfig) -> float:
    """Linear warm-up, then a cosine to 0."""
    warm = min(1.0, step / config.warmup)
    return warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))


class _Batch(NamedTuple):
    codes: Tensor  # [B, K, T], -1 behind an utterance's end
    first: Tensor  # [B]
    speaker: Tensor  # [B]


class _Windows:
    """Draws windows of `context` codes, each place of the training set as likely as any other."""

    def __init__(self, prior: CodePrior, train: Sequence[CodedUtterance], context: int, device: torch.device) -> None:
        self.prior, self.context, self.device = prior, context, device
        self._codes = torch.from_numpy(np.concatenate([np.asarray(item.codes, np.int64) for item in train], axis=1))
        lengths = torch.tensor([item.codes.shape[1] for item in train])
        self._stops = lengths.cumsum(0)
        self._starts = self._stops - lengths
        self._speakers = torch.tensor([item.speaker for item in train])

    def draw(self, batch: int, seed: int) -> _Batch:
        generator = torch.Generator().manual_seed(seed)
        place = torch.randint(self._codes.shape[1], (batch,), generator=generator)
        which = torch.searchsorted(self._stops, place, right=True)
        # half a context before the place, so that an utterance's beginning is as likely seen as its middle
        begin = torch.maximum(self._starts[which], place - self.context // 2)
        index = begin[:, None] + torch.arange(self.context)
        inside = index < self._stops[which][:, None]
        codes = self._codes[:, index.clamp_max(self._codes.shape[1] - 1)].transpose(0, 1)
        codes = torch.where(inside[:, None], codes, -1)
        before = self._codes[-1, (begin - 1).clamp_min(0)] + self.prior.size * (self.prior.books - 1)
        first = torch.where(begin == self._starts[which], self.prior.start, before)
        return _Batch(codes.to(self.device), first.to(self.device), self._speakers[which].to(self.device))
