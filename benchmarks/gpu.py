"""`python -m benchmarks gpu STORE`: what a CUDA machine does with sqcodec, in one report of less than 1 MB.

It reads features and samples from a feature store and needs no package for audio files, so that it runs on a bare
machine with torch. Everything also runs with `--device cpu` and a few steps.
"""

import json
import platform
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from sqcodec.corpus.store import FeatureStore, open_store
from sqcodec.model import blockwise
from sqcodec.model.assembly import build_codec, find_target_classes
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.training.launch import make_fabric
from sqcodec.recipe import CodecRecipe, IstftConfig, Precision, load_recipe
from sqcodec.train.codec_trainer import CodecTrainer
from sqcodec.train.reconstruction import evaluate
from sqcodec.train.trainer import Trainer
from sqcodec.train.vocoder.istft_trainer import IstftTrainer
from sqcodec.vocoder.interface import Rendering
from sqcodec.vocoder.istft import IstftNetwork, IstftVocoder

VARIANTS: dict[str, tuple[Precision, bool]] = {  # compiled?
    "float32": ("32-true", False),
    "float32, compiled": ("32-true", True),
    "bfloat16": ("bf16-mixed", False),
    "bfloat16, compiled": ("bf16-mixed", True),
}
_UNTIMED = 0.25  # of the steps: compilation, caches, clock
_POINTS = 20  # of a loss curve
_ROWS = 25  # of the profile
_FOREVER = 10**9  # steps between two evaluations that no training here reaches
Report = dict[str, Any]


@click.command()
@click.argument("store", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--steps", type=click.IntRange(min=4), default=2000, show_default=True, help="Of each codec training.")
@click.option("--vocoder-steps", type=click.IntRange(min=4), default=100, show_default=True)
@click.option("--seeds", type=click.IntRange(min=2), default=3, show_default=True, help="Trainings in float32.")
@click.option("--recipe", default="vctk", show_default=True, help="Recipe of the codec; the store has its features.")
@click.option("--vocoder", default="istft", show_default=True, help="Recipe of the vocoder.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override the codec's recipe.")
@click.option("--set-vocoder", multiple=True, metavar="KEY=VALUE", help="Override the vocoder's recipe.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("gpu.json"), show_default=True)
def gpu(
    store: Path,
    device: str,
    steps: int,
    vocoder_steps: int,
    seeds: int,
    recipe: str,
    vocoder: str,
    overrides: tuple[str, ...],
    set_vocoder: tuple[str, ...],
    out: Path,
) -> None:
    """Codes on CPU and GPU, trainings in four ways, steps per second, a profile, and coding, on the store STORE."""
    opened, on = open_store(store), find_device(device)
    settings = {
        "recipe": recipe, "overrides": overrides, "vocoder": vocoder, "its overrides": set_vocoder, "steps": steps,
        "vocoder's steps": vocoder_steps, "seeds": seeds,
    }  # fmt: skip
    codec_recipe = load_recipe(recipe, overrides).codec
    parts: dict[str, Callable[[], Any]] = {
        "machine": lambda: machine(on),
        "settings": lambda: settings | sizes(opened),
        "codes": lambda: codes(codec_recipe, opened, on),
        "trainings": lambda: trainings(codec_recipe, opened, on, steps=steps, seeds=seeds),
        "vocoder": lambda: vocoders(vocoder, set_vocoder, opened, on, steps=vocoder_steps),
        "profile": lambda: profile(codec_recipe, opened, on),
        "coding": lambda: coding(codec_recipe, vocoder, set_vocoder, opened, on),
    }
    report: Report = {}
    for name, measure in parts.items():
        click.echo(f"{name} ...", err=True)
        report[name] = measure()
        out.write_text(json.dumps(report, indent=1), "utf-8")  # what was measured stays, whatever happens next
    click.echo(f"{out}: {out.stat().st_size} bytes")


def machine(device: torch.device) -> Report:
    """What the figures belong to."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": name, "torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}


def sizes(store: FeatureStore) -> Report:
    """Utterances and hours of each split."""
    rate = store.features.sample_rate
    return {
        name: {"utterances": len(split.rows), "hours": len(split.audio) / rate / 3600}
        for name, split in store.splits.items()
    }


def codes(recipe: CodecRecipe, store: FeatureStore, device: torch.device) -> Report:
    """Codes and decoded features of the test split, on the CPU and on the device, with the same random weights."""
    codec = _random_codec(recipe, store)
    different, total, largest = 0, 0, 0.0
    for features in _features(store, recipe):
        one, other = (_coded(codec.to(on), features, on) for on in (torch.device("cpu"), device))
        different += int((one[0] != other[0]).sum())
        total += one[0].numel()
        largest = max(largest, float((one[1] - other[1]).abs().max()))
    return {"codes": total, "different": different, "largest difference of decoded features": largest}


def _coded(codec: SpectrogramCodec, features: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Codes, and what the CPU's codes decode to on the device, so that one different code does not count twice."""
    with torch.inference_mode():
        found = codec.encode(features.to(device))
        on_cpu = codec.cpu().encode(features)
        decoded = codec.to(device).decode(on_cpu.to(device), torch.zeros(1, dtype=torch.int64, device=device))
    return found.cpu(), decoded.float().cpu()


def trainings(
    recipe: CodecRecipe, store: FeatureStore, device: torch.device, *, steps: int, seeds: int
) -> dict[str, Report]:
    """Equal steps in each way; the way `float32` with several seeds, whose spread the others are compared with."""
    runs = {f"float32, seed {seed}": _training(recipe, store, device, steps, "float32", seed) for seed in range(seeds)}
    runs |= {name: _training(recipe, store, device, steps, name, 0) for name in VARIANTS if name != "float32"}
    errors = [run["test_mse"] for name, run in runs.items() if "seed" in name]
    mean, spread = statistics.mean(errors), statistics.stdev(errors)
    for run in runs.values():
        run["deviations from the mean of the seeds"] = (run["test_mse"] - mean) / spread if spread else None
    return runs


def _training(
    recipe: CodecRecipe, store: FeatureStore, device: torch.device, steps: int, way: str, seed: int
) -> Report:
    precision, compiled = VARIANTS[way]
    schedule = {"steps": steps, "seed": seed, "precision": precision, "evaluate_every": _FOREVER}
    train = recipe.train.model_copy(update=schedule | {"save_every": _FOREVER, "log_every": _FOREVER})
    with tempfile.TemporaryDirectory() as folder:
        trainer = CodecTrainer(
            recipe.model_copy(update={"train": train}), store, Path(folder), make_fabric(str(device), precision),
            compiled=compiled,
        )  # fmt: skip
        timed = _steps(trainer, steps, trainer.model)
        trainer.model.eval()
        result = evaluate(trainer.codec, store.splits[recipe.train.evaluate_split], device)
    return timed | {"test_mse": result.mse}


def _steps(trainer: Trainer, steps: int, *networks: nn.Module) -> Report:
    """Train, and say how fast and with what losses; the first steps are not timed."""
    curve: dict[int, float] = {}
    untimed, begun = int(_UNTIMED * steps), 0.0
    for network in networks:
        network.train()
    for step in range(1, steps + 1):
        trainer.advance()
        if step == untimed:
            begun = _now(trainer.fabric.device)
        if step % max(1, steps // _POINTS) == 0:
            curve[step] = trainer.losses.means()["loss"]
    return {"steps per second": (steps - untimed) / (_now(trainer.fabric.device) - begun), "loss": curve}


def vocoders(
    name: str, overrides: tuple[str, ...], store: FeatureStore, device: torch.device, *, steps: int
) -> dict[str, Report]:
    """Steps per second of the ISTFT vocoder, without discriminators and with them from the first step on."""
    starts = {"spectral losses": "null", "with discriminators": "0"}
    reports = {}
    for title, start in starts.items():
        recipe = load_recipe(name, (*overrides, f"vocoder.discriminators.start={start}"))
        assert isinstance(recipe.vocoder, IstftConfig)
        with tempfile.TemporaryDirectory() as folder:
            fabric = make_fabric(str(device), recipe.vocoder.train.precision)
            trainer = IstftTrainer(recipe, recipe.vocoder, store, Path(folder), fabric, None)
            reports[title] = _steps(trainer, steps)
    return reports


def profile(recipe: CodecRecipe, store: FeatureStore, device: torch.device) -> str:
    """The operations that one training step spends most time in, as torch's profiler prints them."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    with tempfile.TemporaryDirectory() as folder:
        trainer = CodecTrainer(recipe, store, Path(folder), make_fabric(str(device), recipe.train.precision))
        trainer.model.train()
        for _ in range(3):
            trainer.advance()
        with torch.profiler.profile(activities=activities) as profiler:
            trainer.advance()
            _now(device)
    order = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    table: str = profiler.key_averages().table(sort_by=order, row_limit=_ROWS, max_name_column_width=60)
    return table


def coding(
    recipe: CodecRecipe, name: str, overrides: tuple[str, ...], store: FeatureStore, device: torch.device
) -> Report:
    """Times real time of the test split: features to codes, codes to features, features to sound; of one recording at a
    time, and of all in batches."""
    codec, config = _random_codec(recipe, store).to(device), load_recipe(name, overrides).vocoder
    assert isinstance(config, IstftConfig)
    torch.manual_seed(0)
    vocoder = IstftVocoder(IstftNetwork(config, store.features).to(device).eval(), store.features, config.refinement)
    speaker, seconds, spent = torch.zeros(1, dtype=torch.int64, device=device), 0.0, dict.fromkeys(_STAGES, 0.0)
    with torch.inference_mode():
        for features in _features(store, recipe):
            seconds += features.shape[2] / store.features.frame_rate
            with _timed(spent, "encode", device):
                found = codec.encode(features.to(device))
            with _timed(spent, "decode", device):
                decoded = codec.decode(found, speaker)
            with _timed(spent, "vocode", device):
                vocoder.synthesise(decoded)
    with _timed(spent, "encode in batches", device):
        each = [
            list(blocks) for blocks in blockwise.encode_each(codec, _analysed(store, recipe), device, codebooks=None)
        ]
    several = [np.concatenate([block.codes.numpy() for block in blocks], axis=1) for blocks in each]
    with _timed(spent, "decode in batches", device):
        decoded_each = [list(pieces) for pieces in blockwise.decode_each(codec, ((codes, 0) for codes in several))]
    with _timed(spent, "vocode in batches", device):
        for sound in vocoder.render_each(_renderings(decoded_each, store.features.hop_length)):
            deque(sound, maxlen=0)
    return {"seconds of speech": seconds} | {f"{stage}, times real time": seconds / spent[stage] for stage in _STAGES}


_STAGES = ("encode", "decode", "vocode", *(f"{stage} in batches" for stage in ("encode", "decode", "vocode")))


def _random_codec(recipe: CodecRecipe, store: FeatureStore) -> SpectrogramCodec:
    torch.manual_seed(0)
    speakers = tuple(sorted({row.speaker for row in store.splits["train"].rows}))
    classes = find_target_classes(recipe, store.splits["train"].features)
    return build_codec(recipe, speakers if recipe.network.knows_speakers else (), classes).eval()


def _renderings(several: Iterable[list[Tensor]], hop_length: int) -> Iterator[Rendering]:
    for pieces in several:
        frames = sum(piece.shape[1] for piece in pieces)
        yield Rendering([piece.numpy() for piece in pieces], frames * hop_length)


def _analysed(store: FeatureStore, recipe: CodecRecipe) -> Iterator[tuple[list[Tensor], int]]:
    """Features and frames of each recording of the test split, without context."""
    for features in _features(store, recipe):
        yield [features[0, :, 1:-1]], features.shape[2] - 2


def _features(store: FeatureStore, recipe: CodecRecipe) -> Iterator[Tensor]:
    """Features [1, F, T + 2] of each recording of the test split, with a frame of context on each side."""
    split = store.splits[recipe.train.evaluate_split]
    for row in split.rows:
        whole = torch.from_numpy(split.features_of(row))
        even = whole[:, : whole.shape[1] // store.features.frames_per_code * store.features.frames_per_code]
        yield torch.cat([even[:, :1], even, even[:, -1:]], dim=1)[None]


@contextmanager
def _timed(spent: dict[str, float], name: str, device: torch.device) -> Iterator[None]:
    begun = _now(device)
    yield
    spent[name] += _now(device) - begun


def _now(device: torch.device) -> float:
    """Seconds, once the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
