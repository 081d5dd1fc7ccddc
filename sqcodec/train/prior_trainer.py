"""Training a prior on the codes of a training set, which are all in memory."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from sqcodec.prior.prior_file import save_prior
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import PriorConfig
from sqcodec.train.checkpoint import load_optimizer_
from sqcodec.train.crops import step_seed
from sqcodec.train.log import TrainingLog
from sqcodec.train.trainer import Milestones, Trainer

_DRAWS, _NOISE = range(2)  # the random streams


class CodedUtterance(NamedTuple):
    """The codes [K, T] of one utterance and whose voice it is."""

    codes: NDArray[np.integer[Any]]
    speaker: int


class CodedCorpus(NamedTuple):
    """Utterances to train and to test on, coded by one codec: its codebook sizes, speakers and fingerprint.

    digest: of the feature store that was coded.
    """

    train: Sequence[CodedUtterance]
    test: Sequence[CodedUtterance]
    codewords: tuple[int, ...]
    speakers: tuple[str, ...]
    fingerprint: str
    digest: str


class PriorTrainer(Trainer):
    """One training of a prior; `folder` receives checkpoint and log, the file `path` the prior."""

    remedy = "remove that folder to start another training"

    def __init__(self, config: PriorConfig, corpus: CodedCorpus, folder: Path, fabric: Fabric, *, path: Path) -> None:
        every = config.evaluate_every
        super().__init__(folder, fabric, Milestones(config.steps, every, every, every))
        self.config, self.corpus, self.path = config, corpus, path
        torch.manual_seed(config.seed)
        prior = CodePrior(config, codewords=corpus.codewords, speakers=len(corpus.speakers))
        self.prior = prior.to(fabric.device)
        self.optimizer = torch.optim.AdamW(
            self.prior.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._windows = _Windows(self.prior, corpus.train, config.context, fabric.device)

    def train_step(self) -> dict[str, Tensor]:
        """One update; loss: nats a code."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * _schedule(self.step, self.config)
        torch.manual_seed(step_seed(self.config.seed, self.step, _NOISE))
        batch = self._windows.draw(self.config.batch, step_seed(self.config.seed, self.step, _DRAWS))
        nats = self.prior.nats(*batch).sum() / (batch.codes >= 0).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(nats)
        torch.nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        self.optimizer.step()
        return {"loss": nats.double()}

    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        """Bits a code in training."""
        return {"bits": means["loss"] / math.log(2)} if means else {}

    def evaluate(self, _log: TrainingLog) -> dict[str, Any]:
        """Bits a code on the test utterances."""
        return {"test_bits": bits_per_code(self.prior, self.corpus.test, self.fabric.device)}

    def state(self) -> dict[str, Any]:
        """Weights and the optimiser."""
        return {"prior": self.prior.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""
        self.prior.load_state_dict(state["prior"])
        load_optimizer_(self.optimizer, state["optimizer"])
        for moments in self.optimizer.state.values():
            moments["step"] = moments["step"].cpu()  # AdamW reads it in every step; a checkpoint is read to the device

    def save_weights(self) -> None:
        """Write the prior."""
        save_prior(
            self.path,
            self.prior,
            fingerprint=self.corpus.fingerprint,
            speakers=self.corpus.speakers,
            step=self.step,
        )

    def identity(self) -> dict[str, Any]:
        """Network, batches, store and codes."""
        config = self.config.model_dump(mode="json")
        return {
            "prior": {key: config[key] for key in ("layers", "dim", "heads", "context")},
            "prior (batch or seed)": {key: config[key] for key in ("batch", "seed")},
            "the feature store": self.corpus.digest,
            "the codes": self.corpus.fingerprint,
        }

    def cause(self, _step: int, _losses: Mapping[str, float]) -> str:
        """Steps that are too large."""
        return f"most often prior.learning_rate ({self.config.learning_rate:g}) is too high"


def bits_per_code(prior: CodePrior, sequences: Sequence[CodedUtterance], device: torch.device) -> float:
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
    """Draws windows of `context` codes, each position of the training set as likely as any other."""

    def __init__(self, prior: CodePrior, train: Sequence[CodedUtterance], context: int, device: torch.device) -> None:
        self.prior, self.context, self.device = prior, context, device
        self._codes = torch.from_numpy(np.concatenate([np.asarray(item.codes, np.int64) for item in train], axis=1))
        lengths = torch.tensor([item.codes.shape[1] for item in train])
        self._stops = lengths.cumsum(0)
        self._starts = self._stops - lengths
        self._speakers = torch.tensor([item.speaker for item in train])

    def draw(self, batch: int, seed: int) -> _Batch:
        generator = torch.Generator().manual_seed(seed)
        position = torch.randint(self._codes.shape[1], (batch,), generator=generator)
        which = torch.searchsorted(self._stops, position, right=True)
        # half a context before the position, so that an utterance's beginning is as likely seen as its middle
        begin = torch.maximum(self._starts[which], position - self.context // 2)
        index = begin[:, None] + torch.arange(self.context)
        inside = index < self._stops[which][:, None]
        codes = self._codes[:, index.clamp_max(self._codes.shape[1] - 1)].transpose(0, 1)
        codes = torch.where(inside[:, None], codes, -1)
        before = self._codes[-1, (begin - 1).clamp_min(0)] + self.prior.size * (self.prior.books - 1)
        first = torch.where(begin == self._starts[which], self.prior.start, before)
        return _Batch(codes.to(self.device), first.to(self.device), self._speakers[which].to(self.device))
