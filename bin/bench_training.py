"""Rows of bin/bench about the training step: what it costs, and how the cost grows.

`bin/bench_training.py` draws the plots of docs/performance.md from figures of one run into docs/results/.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from sqcodec.corpus.store import FeatureStore, StoredUtterance, assemble, open_store, write_shard
from sqcodec.model.assembly import build_codec
from sqcodec.model.objective import objective
from sqcodec.pipeline.training.train_codec import make_fabric, started_processes
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES
from sqcodec.train.codec_trainer import CodecTrainer

ROOT = Path(__file__).resolve().parent.parent
Step = Callable[[], object]


def make_store(folder: Path, *, utterances: int, frames: int = 400) -> FeatureStore:
    """Noise of the size of a corpus, of ten speakers."""
    random, samples = np.random.default_rng(0), 160 * frames - 80
    values = random.normal(0.5, 0.2, (80, frames)).astype(np.float32)

    def rows(split: str, count: int) -> list[StoredUtterance]:
        silent = np.zeros(samples, np.float32)
        return [StoredUtterance(f"{split}{n}", f"p{n % 10}", values, silent, 0.5) for n in range(count)]

    for split, count in (("train", utterances), ("test", 10)):
        write_shard(folder / split, rows(split, count), [])
    assemble(
        folder / "store", {split: [folder / split] for split in ("train", "test")}, config=FEATURES["paper-mel"],
        digest="noise", corpus="folder", reports=[], report_text="",
    )  # fmt: skip
    return open_store(folder / "store")


def our_step(folder: Path, store: FeatureStore, *overrides: str) -> Step:
    """A step of the real training loop, crops included."""
    recipe = load_recipe("vctk", ("train.precision=bf16-mixed", *overrides))
    fabric = Fabric(accelerator="cpu", devices=1, precision=recipe.train.precision)
    trainer = CodecTrainer(recipe, store, folder, fabric)
    trainer.model.train()
    return trainer.advance


def plain_step() -> Step:
    """The eager step as one would write it: float32, one Adam update a parameter, the loss read at each step."""
    torch.manual_seed(0)
    codec = build_codec(load_recipe("vctk"), tuple(f"p{number}" for number in range(10))).train()
    optimizer = torch.optim.Adam(codec.parameters(), lr=4e-4, foreach=False)
    features, speaker = torch.randn(52, 80, 34) * 0.2 + 0.5, torch.randint(10, (52,))

    def step() -> float:
        optimizer.zero_grad()
        decoded, quantized = codec(features, speaker, 1.0)
        terms = objective(
            decoded, features[:, :, 1:-1], quantized, likelihood=codec.likelihood, weighting=codec.quantizer.weighting
        )
        terms.loss.backward()
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        return terms.loss.item()

    return step


def processor_seconds(work: Step) -> float:
    """Of this process alone: what else the machine does is not counted."""
    start = time.process_time()
    work()
    return time.process_time() - start


def step_ratios(runs: int, precision: str) -> tuple[list[float], float]:
    """Time of the plain step over ours, in turns, and the median of ours in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), utterances=50)
        plain, ours = plain_step(), our_step(Path(folder), store, f"train.precision={precision}")
        plain(), ours()
        pairs = [(processor_seconds(plain), processor_seconds(ours)) for _ in range(runs)]
    return [slow / fast for slow, fast in pairs], statistics.median(fast for _, fast in pairs)


def growth(runs: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds a step against corpus size (hours), length (frames a crop), V and K; the rest as in the paper."""
    sizes: dict[str, list[tuple[str, tuple[str, ...]]]] = {
        "frames": [(str(n), (f"train.frames={n}",)) for n in (16, 32, 64, 128)],
        "codewords": [(str(n), (f"quantizer.codewords={n}",)) for n in (128, 512, 2048)],
        "stages": [(str(n), (residual(n),)) for n in (1, 2, 4, 8)],
    }
    figures: dict[str, list[tuple[float, float]]] = {"hours": []}
    with tempfile.TemporaryDirectory() as folder:
        for count in (100, 1000, 5000):
            store = make_store(Path(folder, str(count)), utterances=count)
            figures["hours"].append((count * 4 / 3600, median_of(our_step(Path(folder), store), runs)))
            if count == 100:
                small = store
        for name, cases in sizes.items():
            figures[name] = [(float(at), median_of(our_step(Path(folder), small, *of), runs)) for at, of in cases]
    return figures


def residual(stages: int) -> str:
    return (
        f"quantizer={{kind: residual, stages: {stages}, codewords: 512, dim: 64, initial_variance: 1.0, ratio: 0.5,"
        " dropout: 0.5, warmup_steps: 0, freeze_step: null}"
    )


def median_of(step: Step, runs: int) -> float:
    step()
    return statistics.median(processor_seconds(step) for _ in range(runs))


def draw(figures: dict[str, list[tuple[float, float]]], folder: Path) -> None:
    """One small PNG for each of what grows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    titles = {"hours": "hours of speech in the store", "frames": "frames a crop", "codewords": "codewords V",
              "stages": "codebooks K (residual)", "ranks": "processes, 26 crops each"}  # fmt: skip
    for name, points in figures.items():
        figure = Figure(figsize=(3.2, 2.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*points, strict=True), marker="o", color="#1f5fa8")
        axes.set(xlabel=titles[name], ylabel="CPU seconds a step", xscale="log" if name == "hours" else "linear")
        axes.set_ylim(bottom=0)
        FigureCanvasAgg(figure).print_png(str(folder / f"cost-{name}.png"), pil_kwargs={"optimize": True})


def rank_seconds(runs: int) -> float:
    """A step of 26 crops in each of the processes that torchrun started."""
    processes = started_processes()
    fabric = make_fabric("cpu", "bf16-mixed", processes=processes)
    with tempfile.TemporaryDirectory() as folder:
        recipe = load_recipe("vctk", (f"train.batch={26 * fabric.world_size}",))
        trainer = CodecTrainer(recipe, make_store(Path(folder), utterances=50), Path(folder), fabric)
        trainer.model.train()
        return median_of(trainer.advance, runs)


def by_ranks() -> list[tuple[float, float]]:
    """CPU seconds a step in one process of 1, 2 and 4, which this machine shares between its cores."""
    points = []
    for number in (1, 2, 4):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
        done = subprocess.run([*command, __file__, "rank"], check=True, capture_output=True, text=True)
        points.append((float(number), float(re.findall(r"seconds=([\d.]+)", done.stdout)[0])))
    return points


def main() -> None:
    torch.set_num_threads(1)
    if sys.argv[1:] == ["rank"]:
        print(f"seconds={rank_seconds(5)}")
        return
    figures = growth(5)
    figures["ranks"] = by_ranks()
    print(json.dumps(figures, indent=1))
    draw(figures, ROOT / "docs" / "results")


if __name__ == "__main__":
    sys.exit(main())
