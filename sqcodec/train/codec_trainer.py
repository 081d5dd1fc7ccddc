"""The training loop: crop, pass, clip, log, evaluate, save; it stops cleanly and resumes exactly."""

import bisect
import math
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from sqcodec import ranks
from sqcodec.corpus.store import FeatureStore
from sqcodec.errors import StoppedError, TrainingError
from sqcodec.metrics.codebook_usage import codewords_in_use, count_codes, perplexity
from sqcodec.model.convnext_network import ConvNextDecoder, ConvNextEncoder
from sqcodec.model.mel_classes import MelClasses, find_classes
from sqcodec.model.model_file import save_model
from sqcodec.model.objective import objective
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.quantizers.residual import ResidualQuantizer
from sqcodec.recipe import Recipe, ResidualConfig
from sqcodec.train.checkpoint import load_checkpoint, save_checkpoint
from sqcodec.train.crops import Crops, band_statistics, step_seed
from sqcodec.train.elbo import bound
from sqcodec.train.interruption import stop_signals
from sqcodec.train.log import TrainingLog
from sqcodec.train.reconstruction import evaluate

TERMS = ("loss", "reconstruction", "quadratic", "entropy", "mse", "log_var")
CROPS, NOISE, INITIAL, DRAWN, LATENTS, CENTRES = range(6)  # the random streams
_LATENTS = 16384  # on which codebooks are put after a warm-up
_LATENTS_A_CODEWORD = 128  # on which they are refitted when they settle
Report = Callable[[dict[str, Any]], None]


class Trainer:
    """One training of one recipe on one store; `folder` receives checkpoint, model and log.

    Every random draw depends on the seed and the step alone, so 10 steps, a resume and 10 more are 20 steps. Of several
    processes each takes its part of every batch; the first writes and evaluates. compiled: let torch.compile make one
    program of the networks. Raises TrainingError: the batch cannot be shared out.
    """

    def __init__(
        self, recipe: Recipe, store: FeatureStore, folder: Path, fabric: Fabric, *, compiled: bool = False
    ) -> None:
        self.recipe, self.store, self.folder, self.fabric = recipe, store, folder, fabric
        _check_share(recipe, fabric.world_size)
        labelled = recipe.network.kind == "paper"
        speakers = tuple(sorted({row.speaker for row in store.splits["train"].rows})) if labelled else ()
        torch.manual_seed(step_seed(recipe.train.seed, 0, INITIAL))
        self.codec = SpectrogramCodec(recipe, speakers, self._classes())
        if isinstance(self.codec.encoder, ConvNextEncoder) and isinstance(self.codec.decoder, ConvNextDecoder):
            for scale in (self.codec.encoder.scale, self.codec.decoder.scale):
                scale.set_(*band_statistics(store.splits["train"]))
        optimizer = torch.optim.Adam(self.codec.parameters(), lr=recipe.train.learning_rate, fused=True)
        if compiled:
            self._compile()
        self.model, self.optimizer = fabric.setup(self.codec, optimizer)
        self.crops = Crops(store.splits["train"], speakers, recipe.train.frames, fabric.device, recipe.train.level)
        frames = sum(row.frames for row in store.splits["train"].rows)
        self.epoch_steps = max(1, round(frames / (recipe.train.batch * recipe.train.frames)))
        self.step = 0
        book = self.codec.quantizer
        self.counts = torch.zeros(book.codebooks, book.codewords, dtype=torch.int64, device=fabric.device)
        self.sums = torch.zeros(len(TERMS), dtype=torch.float64, device=fabric.device)
        self.summed = 0
        self.bad_step = torch.zeros((), dtype=torch.int64, device=fabric.device)
        self.bad_terms = torch.zeros(len(TERMS), dtype=torch.float64, device=fabric.device)

    @property
    def checkpoint(self) -> Path:
        """Where the training's whole state is kept."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Load the state saved last. Raises TrainingError: none, damaged, or of another model, store or speakers."""
        state = load_checkpoint(self.checkpoint, self.fabric.device)
        mine = self._identity()
        unlike = [key for key in mine if state["identity"].get(key) != mine[key]]
        if unlike:
            raise TrainingError(
                f"{self.checkpoint}: cannot resume, {', '.join(unlike)} differ(s) from what the training began with;"
                " use the same recipe and features, or start another training with --out"
            )
        self.codec.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.summed = state["step"], state["summed"]
        self.counts, self.sums = state["counts"], state["sums"]

    def save(self) -> None:
        """Write checkpoint and model, each atomically. Raises TrainingError rather than save parameters gone bad."""
        self._stop_if_bad()
        state = {
            "identity": self._identity(),
            "step": self.step,
            "model": self.codec.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "counts": self.counts,
            "sums": self.sums,
            "summed": self.summed,
        }
        if not self.fabric.is_global_zero:
            return
        save_checkpoint(self.checkpoint, state)
        save_model(self.folder / "model.safetensors", self.codec, self.step)

    def run(self, log: TrainingLog | None, report: Report) -> None:
        """Train to train.steps; log: of the first process alone.

        Raises TrainingError: the loss is not finite, or the training was asked to stop.
        """
        train = self.recipe.train
        self.model.train()
        with stop_signals() as stop:
            while self.step < train.steps:
                self._train_step()
                last = self.step == train.steps
                entry = self._entry(last)
                if self.step % train.evaluate_every == 0 or last:
                    self._stop_if_bad()
                    entry |= self._test(last) if log else {}
                if log and len(entry) > 1:
                    log.write(entry)
                    report(entry)
                asked = self._is_asked_to_stop(stop)
                if self.step % train.save_every == 0 or last or asked:
                    self.save()
                if asked and not last:
                    raise StoppedError(
                        f"stopped at step {self.step} of {train.steps}, all saved in {self.folder};"
                        " the same command with --resume goes on from here"
                    )

    def _train_step(self) -> None:
        with ranks.together():
            self._learn()

    def _learn(self) -> None:
        train = self.recipe.train
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = train.learning_rate * train.milestone_factor ** bisect.bisect_right(
                train.milestones, self.step - 1
            )
        self._advance_quantizer()
        batch = self.crops.draw(train.batch, step_seed(train.seed, self.step, CROPS))
        noise = torch.Generator(self.fabric.device).manual_seed(step_seed(train.seed, self.step, NOISE))
        self.optimizer.zero_grad(set_to_none=True)
        decoded, quantized = self.model(batch.features, batch.speaker, self._temperature(), noise)
        terms = objective(
            decoded,
            batch.features[:, :, 1:-1],
            quantized,
            likelihood=self.codec.likelihood,
            weighting=self.codec.quantizer.weighting,
        )
        self.fabric.backward(terms.loss)
        self.fabric.clip_gradients(self.model, self.optimizer, max_norm=train.clip, error_if_nonfinite=False)
        self.optimizer.step()
        values = ranks.mean(torch.stack([*terms, quantized.log_var]).detach().double())
        self._watch(values)
        self.sums += values
        self.summed += 1
        self.counts += ranks.total(count_codes(quantized.codes, self.codec.quantizer.codewords))

    def _is_asked_to_stop(self, stop: Event) -> bool:
        """Whether any process is: all of them stop after the same step. Asking a GPU waits for it, so only at times."""
        if self.fabric.world_size == 1:
            return stop.is_set()
        if self.fabric.device.type == "cuda" and self.step % self.recipe.train.log_every:
            return False
        with ranks.together():
            return bool(ranks.total(torch.tensor(float(stop.is_set()), device=self.fabric.device)).item())

    def _compile(self) -> None:
        """In place, so that names of parameters stay; the quantiser stays as it is, for its generator."""
        mode = "reduce-overhead" if self.fabric.device.type == "cuda" else None  # CUDA graphs
        self.codec.encoder.compile(mode=mode)
        self.codec.decoder.compile(mode=mode)

    def _advance_quantizer(self) -> None:
        """Switch a residual quantiser on after its warm-up, its codebooks on latents of some batches, and settle it."""
        config, book, seed = self.recipe.quantizer, self.codec.quantizer, self.recipe.train.seed
        if not isinstance(config, ResidualConfig) or not isinstance(book, ResidualQuantizer):
            return
        book.warming = self.step <= config.warmup
        book.settled = config.settled is not None and self.step > config.settled
        if config.warmup and self.step == config.warmup + 1:
            latents = self._latents(max(_LATENTS, 4 * book.codewords))
            book.initialise_(latents, torch.Generator(self.fabric.device).manual_seed(step_seed(seed, 0, CENTRES)))
        if config.settled and self.step == config.settled + 1:
            book.refit_(self._latents(_LATENTS_A_CODEWORD * book.codewords))

    def _latents(self, enough: int) -> Tensor:
        """At least `enough` latents [N, D] of crops of their own, the same on every rank."""
        batch, seed = self.recipe.train.batch, self.recipe.train.seed
        batches = -(-2 * enough // (batch * self.recipe.train.frames))
        drawn = [self.crops.draw(batch, step_seed(seed, place, LATENTS)) for place in range(batches)]
        with torch.no_grad():
            parts = [ranks.gathered(self.codec.encoder(each.features)) for each in drawn]  # each [ranks, B, T, D]
            return torch.cat([part.flatten(0, 2) for part in parts])

    @property
    def _warmup(self) -> int:
        quantizer = self.recipe.quantizer
        return quantizer.warmup if isinstance(quantizer, ResidualConfig) else 0

    def _temperature(self) -> float:
        # tau = exp(-rate step), as the official training; its first step after any warm-up has tau = 1
        return math.exp(-self.recipe.train.temperature_rate * max(0, self.step - 1 - self._warmup))

    def _watch(self, values: Tensor) -> None:
        """Remember the first step whose loss is not finite, without waiting for the device."""
        first = (self.bad_step == 0) & ~torch.isfinite(values[0])
        self.bad_step = torch.where(first, self.step, self.bad_step)
        self.bad_terms = torch.where(first, values, self.bad_terms)

    def _stop_if_bad(self) -> None:
        step = int(self.bad_step.item())
        if step:
            terms = dict(zip(TERMS, self.bad_terms.tolist(), strict=True))
            cause = (
                "the reconstruction error is exactly 0: the features are constant (digital silence?)"
                if terms["mse"] == 0
                else f"most often train.learning_rate ({self.recipe.train.learning_rate:g}) is too high"
            )
            shown = ", ".join(f"{name} {terms[name]:g}" for name in TERMS[1:])
            kept = f"; the last good state is in {self.checkpoint}" if self.checkpoint.is_file() else ""
            raise TrainingError(
                f"the loss is not finite at step {step} ({shown}): {cause}. Change it with --set and train again{kept}"
            )

    def _entry(self, last: bool) -> dict[str, Any]:
        """What is logged after this step; {"step"} alone on most."""
        entry: dict[str, Any] = {"step": self.step}
        if self.step % self.recipe.train.log_every == 0 or last:
            self._stop_if_bad()
            means = dict(zip(TERMS, (self.sums / self.summed).tolist(), strict=True))
            codes = self.recipe.train.frames // self.codec.features.frames_per_code
            means = {name: value for name, value in means.items() if math.isfinite(value)}  # VQ has no log variance
            entry |= means | {"mse": means["mse"] * self.codec.features.decibels_per_unit**2}
            entry |= {"posterior_entropy": means["entropy"] / codes}
            entry |= {"temperature": self._temperature(), "learning_rate": self.optimizer.param_groups[0]["lr"]}
            self.sums, self.summed = torch.zeros_like(self.sums), 0
        if (self.step % self.epoch_steps == 0 or last) and len(self.counts):
            entry |= usage("epoch", self.counts)
            self.counts = torch.zeros_like(self.counts)
        return entry

    def _test(self, last: bool) -> dict[str, Any]:
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
        if last:
            entry["test_counts"] = result.counts.tolist()
            entry["bound"] = bound(self.codec, split, device, step_seed(self.recipe.train.seed, 0, DRAWN)).as_dict()
        return {name: value for name, value in entry.items() if value is not None}

    def _classes(self) -> MelClasses | None:
        if self.recipe.target.kind == "mel":
            return None
        return find_classes(self.store.splits["train"].features, self.recipe.features.configuration)

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to go on."""
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


def _check_share(recipe: Recipe, processes: int) -> None:
    if recipe.train.batch % processes:
        raise TrainingError(
            f"recipe {recipe.name}: train.batch {recipe.train.batch} is the batch of all processes together, expected a"
            f" multiple of their number, got {processes} processes; start as many as divide it, or set train.batch"
        )


def usage(prefix: str, counts: Tensor) -> dict[str, float]:
    """Perplexity and codewords in use of each codebook; counts [K, V]. The second and further ones are numbered."""
    figures: dict[str, float] = {}
    for number, book in enumerate(counts, start=1):
        name = "" if number == 1 else f"_{number}"
        figures |= {f"{prefix}_perplexity{name}": perplexity(book), f"{prefix}_codewords{name}": codewords_in_use(book)}
    return figures
