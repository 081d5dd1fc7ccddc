"""The training of a codec: one step, its log entries, its evaluation and its state."""

import bisect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from sqcodec import ranks
from sqcodec.corpus.store import FeatureStore
from sqcodec.errors import TrainingError
from sqcodec.file_names import MODEL
from sqcodec.metrics.codebook_usage import codewords_in_use, count_codes, perplexity
from sqcodec.model.assembly import build_codec, find_target_classes
from sqcodec.model.model_file import save_model
from sqcodec.model.objective import objective
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.recipe import CodecRecipe
from sqcodec.train.checkpoint import load_optimizer_
from sqcodec.train.context_network import ContextNetwork, integer_grid
from sqcodec.train.crops import Crops, band_statistics, step_seed
from sqcodec.train.elbo import elbo
from sqcodec.train.log import TrainingLog
from sqcodec.train.rated_codec import RatedCodec
from sqcodec.train.reconstruction import evaluate, scored_rows
from sqcodec.train.trainer import Milestones, Trainer

TERMS = ("loss", "reconstruction", "quadratic", "entropy", "mse", "log_var")
RATE_TERMS = ("saved", "coded")  # by the context model, nats a crop; codes a crop
CROPS, NOISE, INITIAL, DRAWN, LATENTS, CENTRES = range(6)  # the random streams
_COLDEST = 1e-20  # temperature; below, logits divided by it leave float32 and so do their gradients


class CodecTrainer(Trainer):
    """One training of one recipe on one store; `folder` receives checkpoint, model and log.

    Of several processes each takes its part of every batch. compiled: let torch.compile make one program of the
    networks. Raises TrainingError: the batch cannot be shared out, or nothing can be evaluated.
    """

    def __init__(
        self, recipe: CodecRecipe, store: FeatureStore, folder: Path, fabric: Fabric, *, compiled: bool = False
    ) -> None:
        train = recipe.train
        milestones = Milestones(train.steps, train.log_every, train.evaluate_every, train.save_every)
        super().__init__(folder, fabric, milestones)
        self.recipe, self.store = recipe, store
        _check_share(recipe, fabric.world_size)
        labelled = recipe.network.knows_speakers
        speakers = tuple(sorted({row.speaker for row in store.splits["train"].rows})) if labelled else ()
        torch.manual_seed(step_seed(recipe.train.seed, 0, INITIAL))
        self.codec = build_codec(recipe, speakers, find_target_classes(recipe, store.splits["train"].features))
        scored_rows(self.codec, store.splits[train.evaluate_split])  # refused now, not at the first evaluation
        if self.codec.has_band_scales:
            self.codec.fit_scales_(*band_statistics(store.splits["train"]))
        optimizer = torch.optim.Adam(self.codec.parameters(), lr=recipe.train.learning_rate, fused=True)
        if compiled:
            self._compile()
        self.context = _uniform_context(recipe, self.codec)
        self.rated = RatedCodec(self.codec, self.context)
        self.model, self.optimizer, *more = fabric.setup(self.rated, optimizer, *_optimizers_of(self.context, recipe))
        self.context_optimizer = more[0] if more else None
        self.crops = Crops(store.splits["train"], speakers, recipe.train.frames, fabric.device, recipe.train.level)
        frames = sum(row.frames for row in store.splits["train"].rows)
        self.epoch_steps = max(1, round(frames / (recipe.train.batch * recipe.train.frames)))
        book = self.codec.quantizer
        self.counts = torch.zeros(book.codebooks, book.codewords, dtype=torch.int64, device=fabric.device)

    def state(self) -> dict[str, Any]:
        """Weights and optimisers, and how often each codeword occurred since the epoch began."""
        state = {"model": self.codec.state_dict(), "optimizer": self.optimizer.state_dict(), "counts": self.counts}
        return state | self._context_state()

    def _context_state(self) -> dict[str, Any]:
        if self.context is None or self.context_optimizer is None:
            return {}
        return {"context": {"network": self.context.state_dict(), "optimizer": self.context_optimizer.state_dict()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""
        self.codec.load_state_dict(state["model"])
        load_optimizer_(self.optimizer, state["optimizer"])
        self.counts = state["counts"]
        if self.context is not None:
            self.context.load_state_dict(state["context"]["network"])
            load_optimizer_(self.context_optimizer, state["context"]["optimizer"])

    def upgraded(self, state: dict[str, Any]) -> dict[str, Any]:
        """Release 0.1.0 kept the sums of the losses in one tensor, and one number of steps for all.

        A training that began without the rate goes on with a context model that begins uniform.
        """
        state = self._context_state() | state
        if isinstance(state["summed"], int):
            sums = dict(zip(TERMS, state["sums"], strict=True)) if state["summed"] else {}
            return state | {"sums": sums, "summed": dict.fromkeys(sums, state["summed"])}
        return state

    def save_weights(self) -> None:
        """Write the model."""
        save_model(self.folder / MODEL, self.codec, self.step)

    def train_step(self) -> dict[str, Tensor]:
        """One update by this rank's part of the batch; losses of the whole batch."""
        train = self.recipe.train
        self._set_learning_rates()
        self._advance_quantizer()
        batch = self.crops.draw(train.batch, step_seed(train.seed, self.step, CROPS))
        noise = torch.Generator(self.fabric.device).manual_seed(step_seed(train.seed, self.step, NOISE))
        self.model.zero_grad(set_to_none=True)
        (decoded, quantized), rate = self.model(batch.features, batch.speaker, self._temperature(self.step), noise)
        terms = objective(
            decoded,
            batch.features[:, :, 1:-1],
            quantized,
            likelihood=self.codec.likelihood,
            weighting=self.codec.quantizer.weighting,
            rate=-(train.rate or 0.0) * rate.saved.mean(),
        )
        self.fabric.backward(terms.loss if self.context is None else terms.loss - rate.learned.mean())
        self.fabric.clip_gradients(self.model, self.optimizer, max_norm=train.clip, error_if_nonfinite=False)
        self.optimizer.step()
        self._step_context()
        codes = (rate.saved.mean(), rate.coded.mean()) if self.context is not None else ()
        values = ranks.mean(torch.stack([*terms, quantized.log_var, *codes]).detach().double())
        self.counts += ranks.total(count_codes(quantized.codes, self.codec.quantizer.codewords))
        return dict(zip((*TERMS, *RATE_TERMS)[: len(values)], values, strict=True))

    def _set_learning_rates(self) -> None:
        train, context = self.recipe.train, self.recipe.context
        factor = train.milestone_factor ** bisect.bisect_right(train.milestones, self.step - 1)
        rates = [(self.optimizer, train.learning_rate)]
        if self.context_optimizer is not None and context is not None:
            rates.append((self.context_optimizer, context.learning_rate))
        for optimizer, rate in rates:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def _step_context(self) -> None:
        """In the same step as the codec, with a gradient norm of its own."""
        if self.context is None or self.context_optimizer is None:
            return
        self.fabric.clip_gradients(self.model, self.context_optimizer, max_norm=1.0, error_if_nonfinite=False)
        self.context_optimizer.step()
        self.context.clamp_()

    def _compile(self) -> None:
        """In place, so that names of parameters stay; the quantiser stays as it is, for its generator."""
        mode = "reduce-overhead" if self.fabric.device.type == "cuda" else None  # CUDA graphs
        self.codec.encoder.compile(mode=mode)
        self.codec.decoder.compile(mode=mode)

    def _advance_quantizer(self) -> None:
        """Let the quantiser do what its schedule wants before this step."""
        self.codec.quantizer.begin_step_(self.step, self._latents, step_seed(self.recipe.train.seed, 0, CENTRES))

    def _latents(self, enough: int) -> Tensor:
        """At least `enough` latents [N, D] of crops of their own, the same on every rank."""
        batch, seed = self.recipe.train.batch, self.recipe.train.seed
        batches = -(-enough * self.codec.features.frames_per_code // (batch * self.recipe.train.frames))
        drawn = [self.crops.draw(batch, step_seed(seed, number, LATENTS)) for number in range(batches)]
        with torch.no_grad():
            parts = [ranks.gathered(self.codec.encoder(each.features)) for each in drawn]  # each [ranks, B, T, D]
            return torch.cat([part.flatten(0, 2) for part in parts])

    def _temperature(self, step: int) -> float:
        # tau = exp(-rate step), as the official training; its first step after any warm-up has tau = 1
        return math.exp(-self.recipe.train.temperature_rate * max(0, step - 1 - self.codec.quantizer.warmup_steps))

    def cause(self, step: int, losses: Mapping[str, float]) -> str:
        """Silence, a temperature that has fallen too far, or steps that are too large."""
        train, temperature = self.recipe.train, self._temperature(step)
        if losses["mse"] == 0:
            return "the reconstruction error is exactly 0: the features are constant (digital silence?)"
        if temperature < _COLDEST:
            falling = train.steps - self.codec.quantizer.warmup_steps
            return (
                f"train.temperature_rate ({train.temperature_rate:g}) is too high, the temperature has fallen to"
                f" {temperature:.2g}; the rate times the steps in which it falls should be about 1.5, which for"
                f" {falling} steps is a rate of {1.5 / falling:.2g}"
            )
        return f"most often train.learning_rate ({train.learning_rate:g}) is too high"

    def log_entry(self, means: dict[str, float]) -> dict[str, Any]:
        """Losses, and at the end of an epoch the usage of its codewords."""
        entry: dict[str, Any] = {}
        if means:
            codes = self.recipe.train.frames // self.codec.features.frames_per_code
            entry |= {name: value for name, value in means.items() if math.isfinite(value)}  # VQ has no log variance
            entry |= {"mse": means["mse"] * self.codec.features.decibels_per_unit**2}
            entry |= self._bits(means)
            entry |= {"posterior_entropy": means["entropy"] / codes}
            entry |= {
                "temperature": self._temperature(self.step),
                "learning_rate": self.optimizer.param_groups[0]["lr"],
            }
        if (self.step % self.epoch_steps == 0 or self.is_last) and len(self.counts):
            entry |= usage("epoch", self.counts)
            self.counts = torch.zeros_like(self.counts)
        return entry

    def _bits(self, means: dict[str, float]) -> dict[str, float]:
        """Of a code, by the context model that is trained along."""
        if not means.get("coded"):
            return {}
        return {"bits": math.log2(self.codec.quantizer.codewords) - means["saved"] / means["coded"] / math.log(2)}

    def evaluate(self, _log: TrainingLog) -> dict[str, Any]:
        """Reconstruct the evaluation split; at the end the variational bound too."""
        split, device = self.store.splits[self.recipe.train.evaluate_split], self.fabric.device
        result = evaluate(self.codec, split, device)
        entry: dict[str, Any] = {
            "test_mse": result.mse,
            "test_accuracy": result.accuracy,
            "test_clipped": result.clipped,
            "test_utterances": result.utterances,
            "test_left_out": result.left_out,
        }
        entry |= usage("test", result.counts)
        if self.is_last:
            entry["test_counts"] = result.counts.tolist()
            seed = step_seed(self.recipe.train.seed, 0, DRAWN)
            entry["bound"] = elbo(self.codec, split, device, seed, self.rated.saved).as_dict()
        return {name: value for name, value in entry.items() if value is not None}

    def identity(self) -> dict[str, Any]:
        """Features, quantiser, target, network, batches, store and speakers."""
        recipe = self.recipe.model_dump(mode="json")
        train = {key: recipe["train"][key] for key in ("batch", "frames", "seed")}
        target = {key: value for key, value in recipe["target"].items() if key not in ("loudness", "variance")}
        return {
            "features": recipe["features"],
            "quantizer": recipe["quantizer"],
            "target": target,  # how its loss is weighed may change
            "network": recipe["network"],
            "train (batch, frames or seed)": train,
            "the feature store": self.store.digest,
            "the speakers": list(self.codec.speakers),
        }


def _uniform_context(recipe: CodecRecipe, codec: SpectrogramCodec) -> ContextNetwork | None:
    """A context model that begins as the uniform prior; None: the recipe asks for none."""
    if recipe.train.rate is None or recipe.context is None:
        return None
    grid = integer_grid(codec.quantizer.codebook)
    context = ContextNetwork(grid, hidden=recipe.context.hidden, width=recipe.context.width)
    torch.nn.init.zeros_(context.output)
    return context


def _optimizers_of(context: ContextNetwork | None, recipe: CodecRecipe) -> list[torch.optim.Optimizer]:
    if context is None or recipe.context is None:
        return []
    rate, decay = recipe.context.learning_rate, recipe.context.weight_decay
    return [torch.optim.AdamW(context.parameters(), lr=rate, weight_decay=decay, fused=True)]


def _check_share(recipe: CodecRecipe, processes: int) -> None:
    if recipe.train.batch % processes:
        raise TrainingError(
            f"recipe {recipe.name}: train.batch {recipe.train.batch} is the batch of all processes together, expected a"
            f" multiple of their number, got {processes} processes; start as many as divide it, or set train.batch"
        )


def usage(prefix: str, counts: Tensor) -> dict[str, float]:
    """Perplexity and used codewords per codebook from counts [K, V]; keys are numbered from the second codebook on."""
    figures: dict[str, float] = {}
    for number, book in enumerate(counts, start=1):
        name = "" if number == 1 else f"_{number}"
        figures |= {f"{prefix}_perplexity{name}": perplexity(book), f"{prefix}_codewords{name}": codewords_in_use(book)}
    return figures
