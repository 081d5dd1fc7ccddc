"""Training a context model on the codes of a training set, which are all in memory."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from sqcodec.bitstream.sqc import blocks
from sqcodec.errors import TrainingError
from sqcodec.recipe import ContextConfig
from sqcodec.train.checkpoint import load_optimizer_, unlike
from sqcodec.train.codes_at_prices import SearchedCodes
from sqcodec.train.context_network import CodedWindows, ContextNetwork
from sqcodec.train.crops import step_seed
from sqcodec.train.log import TrainingLog
from sqcodec.train.prefix_codes import PrefixCodes
from sqcodec.train.trainer import Milestones, Trainer

_WHOLE = 0.3  # of the windows: every frame has all stages that the window may have
_LOWEST_PRICE, _HIGHEST_PRICE = 0.04, 2.0  # of a bit, in units of weighed squared error; drawn between them
_TEST_WINDOWS = 64  # a number of stages, for the evaluation


class Searched(NamedTuple):
    """Codes that were searched with a context model of this digest."""

    train: SearchedCodes
    test: SearchedCodes
    digest: str


class ContextCorpus(NamedTuple):
    """What to train and to test on. grid: the codewords, see `integer_grid`; sender: digest of what made the codes;
    digest: of the feature store; searched: codes beside the nearest ones."""

    train: PrefixCodes
    test: PrefixCodes
    grid: Tensor
    sender: str
    digest: str
    searched: Searched | None = None


class ContextTrainer(Trainer):
    """One training of a context model; `folder` receives checkpoint and log. The model file gets it at the end."""

    remedy = "remove that folder to start another training"

    def __init__(self, config: ContextConfig, corpus: ContextCorpus, folder: Path, fabric: Fabric) -> None:
        every = config.evaluate_every
        super().__init__(folder, fabric, Milestones(config.steps, every, every, every))
        self.config, self.corpus = config, corpus
        torch.manual_seed(config.seed)
        network = ContextNetwork(corpus.grid, hidden=config.hidden, width=config.width)
        self.network = network.to(fabric.device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._train = _Windows(corpus.train, self.network, config, fabric.device)
        self._searched = None if corpus.searched is None else self._windows(corpus.searched.train)

    def begin_with(self, network: Mapping[str, Any], path: Path) -> None:
        """Take the weights of a network that was trained before, or along with the codec. Raises TrainingError, naming
        `path`: it has another size than the recipe's."""
        state = {**network, "grid": self.network.grid}
        if wrong := unlike(self.network.state_dict(), state, "its context model"):
            raise TrainingError(
                f"{path}: {wrong} has another shape than the recipe's; set context.hidden and context.width as there"
            )
        self.network.load_state_dict(state)

    def train_step(self) -> dict[str, Tensor]:
        """One update; loss: nats a symbol."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * _schedule(self.step, self.config)
        windows = self._draw()
        with torch.autocast(self.fabric.device.type, torch.bfloat16, enabled=self.config.precision == "bf16-mixed"):
            nats = self.network.nats(windows).mean()
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(nats)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.network.clamp_()
        return {"loss": nats.double()}

    @property
    def _part(self) -> float | None:
        """Of the windows that have searched codes; None: there are no such codes."""
        return None if self._searched is None or self.config.searched is None else self.config.searched.part

    def _draw(self) -> CodedWindows:
        """The windows of this step."""
        nearest, searched = (step_seed(self.config.seed, self.step, stream) for stream in range(2))
        if self._searched is None or self._part is None:
            return self._train.draw(self.config.batch, nearest)
        number = round(self._part * self.config.batch)
        parts = self._searched.draw(number, searched), self._train.draw(self.config.batch - number, nearest)
        return CodedWindows(*(torch.cat(values) for values in zip(*parts, strict=True)))

    def _windows(self, searched: SearchedCodes) -> "_SearchedWindows":
        return _SearchedWindows(searched, self.config.frames, self.fabric.device)

    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        """Bits a symbol in training."""
        return {"bits": means["loss"] / math.log(2)} if means else {}

    def evaluate(self, _log: TrainingLog) -> dict[str, Any]:
        """Bits a frame on the test utterances, with 1, 2, 4, ... stages in every frame, and of searched codes."""
        test = _Windows(self.corpus.test, self.network, self.config, self.fabric.device)
        books = self.network.books
        numbers = sorted({*(2**power for power in range(books.bit_length())), books})
        with torch.inference_mode():
            bits = {stages: _bits(self.network, test.whole(stages)) for stages in numbers}
            searched = self.corpus.searched and self._windows(self.corpus.searched.test).first()
            more = {"test_bits_searched": _bits(self.network, searched)} if searched else {}
        return {
            "test_bits": bits[numbers[-1]],
            **{f"test_bits_{stages}": value for stages, value in bits.items()},
            **more,
        }

    def state(self) -> dict[str, Any]:
        """Weights and the optimiser."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""
        self.network.load_state_dict(state["network"])
        load_optimizer_(self.optimizer, state["optimizer"])
        for moments in self.optimizer.state.values():
            moments["step"] = moments["step"].cpu()

    def save_weights(self) -> None:
        """Nothing: the model file gets the context model when the training has ended."""

    def identity(self) -> dict[str, Any]:
        """Network, batches, store and codes."""
        config = self.config.model_dump(mode="json")
        return {
            "context": {key: config[key] for key in ("hidden", "width", "frames")},
            "context (batch or seed)": {key: config[key] for key in ("batch", "seed")},
            "the feature store": self.corpus.digest,
            "the codes": self.corpus.sender,
            "the context model that searched": None if self.corpus.searched is None else self.corpus.searched.digest,
            "context.searched.part": self._part,
        }

    def cause(self, _step: int, _losses: Mapping[str, float]) -> str:
        """Steps that are too large."""
        return f"most often context.learning_rate ({self.config.learning_rate:g}) is too high"


def _bits(network: ContextNetwork, windows: CodedWindows) -> float:
    """Bits a frame."""
    return float(network.nats(windows).sum()) / math.log(2) / int((windows.stages > 0).sum())


def _schedule(step: int, config: ContextConfig) -> float:
    """Linear warm-up, then a cosine to 0."""
    warm = min(1.0, step / config.warmup)
    return warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))


class _Windows:
    """Draws windows of `frames` codes, each of its own number of stages and price of a bit, as an encoder would code
    them: a frame has the stages for which weighed error + price x bits is least."""

    def __init__(
        self, coded: PrefixCodes, network: ContextNetwork, config: ContextConfig, device: torch.device
    ) -> None:
        self.frames, self.books, self.device = config.frames, network.books, device
        self._codes, self._errors = coded.codes, coded.errors  # as they are: hundreds of megabytes
        lengths = torch.tensor(coded.lengths)
        self._stops = lengths.cumsum(0)
        self._starts = self._stops - lengths
        self._price = torch.arange(1, self.books + 1) * 0.85 * math.log2(network.size)  # bits of n stages, roughly

    def draw(self, batch: int, seed: int) -> CodedWindows:
        generator = torch.Generator().manual_seed(seed)
        place = torch.randint(len(self._codes), (batch,), generator=generator)
        which = torch.searchsorted(self._stops, place, right=True)
        begin = torch.maximum(self._starts[which], place - self.frames // 2)
        limit = torch.randint(1, self.books + 1, (batch,), generator=generator)
        stops = (torch.rand(batch, generator=generator) >= _WHOLE) & (limit > 1)
        price = _LOWEST_PRICE * (_HIGHEST_PRICE / _LOWEST_PRICE) ** torch.rand(batch, generator=generator)
        return self._windows(begin, self._stops[which], limit, stops, price)

    def whole(self, stages: int) -> CodedWindows:
        """The first windows, with this number of stages in every frame."""
        begin = self._starts[:_TEST_WINDOWS]
        limit = torch.full((len(begin),), stages)
        return self._windows(begin, self._stops[:_TEST_WINDOWS], limit, limit < 0, limit.float())

    def _windows(self, begin: Tensor, stop: Tensor, limit: Tensor, stops: Tensor, price: Tensor) -> CodedWindows:
        index = begin[:, None] + torch.arange(self.frames)
        inside = index < stop[:, None]
        index = index.clamp_max(len(self._codes) - 1)
        stages = torch.where(stops[:, None], self._best(index, limit, price), limit[:, None])
        first = stages * (stages - 1) // 2  # column of the first code of so many stages
        column = first[..., None] + torch.arange(self.books)
        chosen = index[..., None].numpy(), column.clamp_max(self._codes.shape[1] - 1).numpy()
        codes = torch.from_numpy(self._codes[chosen].astype(np.int64))
        stages = torch.where(inside, stages, 0)
        codes = torch.where(torch.arange(self.books) < stages[..., None], codes, 0)
        return CodedWindows(*(value.to(self.device) for value in (codes.transpose(1, 2), stages, limit, stops)))

    def _best(self, index: Tensor, limit: Tensor, price: Tensor) -> Tensor:
        """Stages [B, T] of the least weighed error + price x bits, 1 to `limit` of each row."""
        errors = torch.from_numpy(self._errors[index.numpy()].astype(np.float32))
        cost = errors + price[:, None, None] * self._price
        beyond = torch.arange(self.books) >= limit[:, None]
        return cost.masked_fill(beyond[:, None], math.inf).argmin(-1) + 1


class _SearchedWindows:
    """Draws windows of `frames` codes, each in one block of a file: half of them begin with it, half anywhere in it."""

    def __init__(self, searched: SearchedCodes, frames: int, device: torch.device) -> None:
        self._frames, self._device = frames, device
        self._codes = torch.from_numpy(searched.codes.astype("i4"))
        self._stages = torch.from_numpy(searched.stages.astype("i8"))
        utterances = self._stages.tensor_split(torch.tensor(searched.lengths).cumsum(0)[:-1])
        parts = [list(blocks(length)) for length in searched.lengths]
        repeats = torch.tensor([len(part) for part in parts])
        lengths = torch.tensor([block.stop - block.start for part in parts for block in part])
        self._ends = lengths.cumsum(0)
        self._starts = self._ends - lengths
        self._limits = torch.stack([stages.max() for stages in utterances]).repeat_interleave(repeats)
        least = torch.stack([stages.min() for stages in utterances]).repeat_interleave(repeats)
        self._stop = least < self._limits

    def draw(self, batch: int, seed: int) -> CodedWindows:
        generator = torch.Generator().manual_seed(seed)
        place = torch.randint(len(self._codes), (batch,), generator=generator)
        which = torch.searchsorted(self._ends, place, right=True)
        start = self._starts[which]
        anywhere = torch.maximum(start, place - self._frames // 2)
        return self._cut(torch.where(torch.rand(batch, generator=generator) < 0.5, start, anywhere), which)

    def first(self) -> CodedWindows:
        """The beginnings of the first blocks."""
        which = torch.arange(min(_TEST_WINDOWS, len(self._starts)))
        return self._cut(self._starts[which], which)

    def _cut(self, begin: Tensor, which: Tensor) -> CodedWindows:
        index = begin[:, None] + torch.arange(self._frames)
        inside = index < self._ends[which, None]
        index = index.clamp_max(len(self._codes) - 1)
        codes = self._codes[index].long() * inside[..., None]
        stages = torch.where(inside, self._stages[index], 0)
        every = codes.transpose(1, 2), stages, self._limits[which], self._stop[which]
        return CodedWindows(*(value.to(self._device) for value in every))
