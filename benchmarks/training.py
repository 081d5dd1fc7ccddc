"""The training step: what it costs against a plain one, and how the cost grows."""

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure
from torch import nn

from benchmarks.timing import Figures, Setting, Work, in_turns, usage
from sqcodec.corpus.store import FeatureStore, StoredUtterance, assemble, open_store, write_shard
from sqcodec.model.assembly import build_codec
from sqcodec.model.objective import objective
from sqcodec.model.paper_network import PaperDecoder
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.nn.convolution import Convolution
from sqcodec.pipeline.training.launch import make_fabric, started_processes
from sqcodec.recipe import load_recipe
from sqcodec.report.figure import write_figure
from sqcodec.spectrogram import FEATURES
from sqcodec.train.codec_trainer import CodecTrainer

ROOT = Path(__file__).resolve().parent.parent
SPEAKERS = tuple(f"p{number}" for number in range(10))
UTTERANCE = 400  # frames, 4 s
Points = list[tuple[float, float]]  # (size, CPU seconds a step)


def residual(stages: int) -> str:
    """The override for residual SQ of so many stages."""
    return (
        f"quantizer={{kind: residual, stages: {stages}, codewords: 512, dim: 64, initial_variance: 1.0, ratio: 0.5,"
        " dropout: 0.5, warmup: 0, settled: null}"
    )


CORPUS_SIZES = (100, 1000, 5000)  # utterances
# what grows -> its sizes and the overrides of the recipe for each
OVERRIDES: Mapping[str, Mapping[int, str]] = {
    "frames": {n: f"train.frames={n}" for n in (16, 32, 64, 128)},
    "codewords": {n: f"quantizer.codewords={n}" for n in (128, 512, 2048)},
    "stages": {n: residual(n) for n in (1, 2, 4, 8)},
}
PROCESSES = (1, 2, 4)
TITLES = {
    "hours": "hours of speech in the store",
    "frames": "frames a crop",
    "codewords": "codewords V",
    "stages": "codebooks K (residual)",
    "ranks": "processes, 26 crops each",
}


def make_store(folder: Path, *, utterances: int) -> FeatureStore:
    """Noise of the size of a corpus, of ten speakers."""
    values = np.random.default_rng(0).normal(0.5, 0.2, (80, UTTERANCE)).astype(np.float32)
    silent = np.zeros(160 * UTTERANCE - 80, np.float32)
    for split, number in (("train", utterances), ("test", 10)):
        rows = [StoredUtterance(f"{split}{n}", SPEAKERS[n % 10], values, silent, 0.5) for n in range(number)]
        write_shard(folder / split, rows, [])
    assemble(
        folder / "store", {split: [folder / split] for split in ("train", "test")}, config=FEATURES["paper-mel"],
        digest="noise", section={"kind": "folder"}, reports=[], report_text="",
    )  # fmt: skip
    return open_store(folder / "store")


def our_step(folder: Path, store: FeatureStore, *overrides: str) -> Work:
    """A step of the real training loop, crops included."""
    recipe = load_recipe("vctk", ("train.precision=bf16-mixed", *overrides)).codec
    return trainer_step(
        CodecTrainer(recipe, store, folder, Fabric(accelerator="cpu", precision=recipe.train.precision))
    )


def trainer_step(trainer: CodecTrainer) -> Work:
    trainer.model.train()
    return trainer.advance


def plain_step() -> Work:
    """The eager step as one would write it: float32, torch's layers, one Adam update a parameter, the loss read at each
    step."""
    torch.manual_seed(0)
    codec = build_codec(load_recipe("vctk").codec, SPEAKERS).train()
    use_layers_of_torch_(codec)
    optimizer = torch.optim.Adam(codec.parameters(), lr=4e-4, foreach=False)
    features, speaker = torch.randn(52, 80, 34) * 0.2 + 0.5, torch.randint(10, (52,))

    def step() -> float:
        optimizer.zero_grad()
        decoded, quantized = codec(features, speaker, 1.0)
        terms = objective(
            decoded, features[:, :, 1:-1], quantized, likelihood=codec.likelihood, weighting=codec.quantizer.weighting
        )
        torch.autograd.backward(terms.loss)
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        return terms.loss.item()

    return step


def step_ratio(setting: Setting) -> Figures:
    """CPU time of the plain step over ours."""
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), utterances=50)
        pairs = in_turns(plain_step(), our_step(Path(folder), store), setting.runs)
    seconds = statistics.median(ours.cpu for _, ours in pairs)
    what = f"a training step, the paper's model: CPU time of plain eager float32 / ours in bf16-mixed ({seconds:.2f} s)"
    return Figures(what, "x", [plain.cpu / ours.cpu for plain, ours in pairs], "1.5 or more")


def use_layers_of_torch_(codec: SpectrogramCodec) -> None:
    """Train the paper's network by `nn.Conv1d` and `nn.GRU`, as it is used: they have the same equations there."""
    for module in codec.modules():
        if isinstance(module, Convolution | PaperDecoder):
            module.eval()


def layers_ratio(setting: Setting, *, channels: int) -> Figures:
    """CPU time of the real step in float32 with torch's layers over that with ours."""
    with tempfile.TemporaryDirectory() as folder:
        store, recipe = make_store(Path(folder), utterances=50), load_recipe("vctk", (f"network.channels={channels}",))
        ours, torchs = (CodecTrainer(recipe.codec, store, Path(folder), Fabric(accelerator="cpu")) for _ in range(2))
        steps = trainer_step(torchs), trainer_step(ours)
        use_layers_of_torch_(torchs.codec)
        pairs = in_turns(*steps, setting.runs)
    seconds, vectors = statistics.median(ours.cpu for _, ours in pairs), torch.backends.cpu.get_cpu_capability()
    what = f"a float32 step, {channels} channels, {vectors}: CPU time with torch's layers / ours ({seconds:.3f} s)"
    return Figures(what, "x", [torchs.cpu / ours.cpu for torchs, ours in pairs])


ROWS: dict[str, Callable[[Setting], Figures]] = {
    "train-step": step_ratio,
    "train-narrow": partial(layers_ratio, channels=256),
    "train-wide": partial(layers_ratio, channels=768),
}


def growth(
    runs: int,
    *,
    corpus_sizes: Sequence[int] = CORPUS_SIZES,
    overrides: Mapping[str, Mapping[int, str]] = OVERRIDES,
    processes: Sequence[int] = PROCESSES,
) -> dict[str, Points]:
    """CPU seconds a step against corpus size (hours), frames a crop, V, K, and processes; the rest as in the paper."""
    figures: dict[str, Points] = {"hours": []}
    with tempfile.TemporaryDirectory() as folder:
        stores = {number: make_store(Path(folder, str(number)), utterances=number) for number in corpus_sizes}
        for number, store in stores.items():
            hours = number * UTTERANCE / 100 / 3600
            figures["hours"].append((hours, median_seconds(our_step(Path(folder), store), runs)))
        smallest = stores[min(stores)]
        for name, cases in overrides.items():
            steps = {size: our_step(Path(folder), smallest, override) for size, override in cases.items()}
            figures[name] = [(float(size), median_seconds(step, runs)) for size, step in steps.items()]
    return figures | {"ranks": [(float(number), by_ranks(number, runs)) for number in processes]}


def median_seconds(step: Work, runs: int) -> float:
    step()
    return statistics.median(usage(step).cpu for _ in range(runs))


def by_ranks(number: int, runs: int) -> float:
    """CPU seconds a step in one process of `number`, which this machine shares between its cores."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    command += ["-m", "benchmarks", "rank", "--runs", str(runs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(re.findall(r"seconds=([\d.]+)", done.stdout)[0])


def rank_seconds(runs: int) -> float:
    """A step of 26 crops in each of the processes that torchrun started."""
    fabric = make_fabric("cpu", "bf16-mixed", processes=started_processes())
    with tempfile.TemporaryDirectory() as folder:
        recipe = load_recipe("vctk", (f"train.batch={26 * fabric.world_size}",)).codec
        store = make_store(Path(folder), utterances=50)
        return median_seconds(trainer_step(CodecTrainer(recipe, store, Path(folder), fabric)), runs)


def draw(figures: Mapping[str, Points], folder: Path) -> None:
    """One small PNG for each of what grows."""
    for name, points in figures.items():
        figure = Figure(figsize=(3.2, 2.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*points, strict=True), marker="o", color="#1f5fa8")
        axes.set(xlabel=TITLES[name], ylabel="CPU seconds a step", xscale="log" if name == "hours" else "linear")
        axes.set_ylim(bottom=0)
        write_figure(figure, folder / f"cost-{name}.png")
