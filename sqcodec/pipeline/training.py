"""The verb `train`: recipe and store in, a run folder with model, checkpoint, log and pictures out."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import yaml
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import distributed

from sqcodec.corpus.store import FeatureStore, open_store
from sqcodec.errors import TrainingError
from sqcodec.model.file import add_tables
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.tables import count_tables
from sqcodec.recipe import Precision, Recipe
from sqcodec.train.evaluation import reconstruct_some
from sqcodec.train.log import TrainingLog, read_log
from sqcodec.train.loop import Report, Trainer
from sqcodec.train.pictures import draw_curves, draw_spectrograms

_PATIENCE = timedelta(hours=6)  # of processes that wait while the first one evaluates or counts tables


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training left: files in `folder`, the step reached, the last test figures."""

    folder: Path
    step: int
    test_mse: float
    test_perplexity: float | None


def train(
    recipe: Recipe, features: Path, folder: Path, *, device: str, resume: bool, report: Report, compiled: bool = False
) -> Trained | None:
    """Train the recipe's model on the store in `features`; `folder` receives everything.

    device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`. compiled: with torch.compile. Started by
    torchrun, every process takes part, the first one writes, and the others return None.
    Raises CorpusError: no store, or one of other features; TrainingError: `folder` holds a training already, nothing to
    resume, a batch that the processes cannot share, diverged, or asked to stop.
    """
    store = open_store_of(recipe, features, recipe.train.evaluate_split)
    resting = recipe.quantizer.kind == "residual"  # its warm-up rests the codebooks, `settled` the encoder
    fabric = make_fabric(device, recipe.train.precision, processes=started_processes(), resting=resting)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.is_file() and not resume:
        raise TrainingError(
            f"{folder} holds a training already: add --resume to go on with it, or --out DIR to start another"
        )
    trainer = Trainer(recipe, store, folder, fabric, compiled=compiled)
    if resume:
        trainer.resume()
    if not fabric.is_global_zero:
        trainer.run(None, report)
        _part(fabric)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), "utf-8")
    log = TrainingLog(folder, keep_to=trainer.step)
    try:
        trainer.run(log, report)
    finally:
        log.close()
    done = _finish(trainer, folder)
    _part(fabric)
    return done


class Processes(NamedTuple):
    """Processes of one training: on this machine, and on all of them."""

    here: int
    everywhere: int


def started_processes() -> Processes | None:
    """As torchrun started them; None: it did not start this one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return Processes(int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"]))


def make_fabric(
    device: str, precision: Precision, *, processes: Processes | None = None, resting: bool = False
) -> Fabric:
    """A Fabric of this process on the device named, or of those that torchrun started, each on a device of its own.

    resting: some parameters have no gradient at times.

    Raises SqcodecError: there is no such device; TrainingError: several processes on one device by its number.
    """
    found = find_device(device)
    if not processes:
        return Fabric(
            accelerator=found.type, devices=[found.index or 0] if found.type == "cuda" else 1, precision=precision
        )
    if ":" in device:
        raise TrainingError(f"--device {device}: torchrun gives each process its own GPU, expected auto, cpu or cuda")
    fabric = Fabric(
        accelerator=found.type,
        devices=processes.here,
        num_nodes=processes.everywhere // processes.here,
        # statistics are added up where they are made
        strategy=DDPStrategy(broadcast_buffers=False, find_unused_parameters=resting, timeout=_PATIENCE),
        precision=precision,
    )
    fabric.launch()
    return fabric


def _part(fabric: Fabric) -> None:
    """The processes end together: torchrun ends the others when one goes badly, as gloo does while it is connected."""
    if fabric.world_size > 1:
        fabric.barrier()
        distributed.destroy_process_group()


def refuse_processes(stage: str) -> None:
    """Raises TrainingError: torchrun started several processes, and this stage is of one."""
    if (processes := started_processes()) and processes.everywhere > 1:
        raise TrainingError(
            f"--stage {stage} trains in one process, got {processes.everywhere} from torchrun;"
            " start it without torchrun"
        )


def open_store_of(recipe: Recipe, features: Path, evaluate_split: str) -> FeatureStore:
    """The store in `features`, which must be of the recipe's features and hold what to train and to test on.

    Raises CorpusError: no store; TrainingError: of other features, or without one of the splits.
    """
    store = open_store(features)
    if store.features != recipe.features.kind:
        raise TrainingError(
            f"{features} holds {store.features} features, recipe {recipe.name} expects {recipe.features.kind};"
            " prepare the corpus with this recipe or train another one"
        )
    for split in ("train", evaluate_split):
        if split not in store.splits:
            raise TrainingError(
                f"{features} has no split {split!r}, it has {', '.join(store.splits)}; set train.evaluate_split to one"
                " of them or prepare the corpus again"
            )
    return store


def _finish(trainer: Trainer, folder: Path) -> Trained:
    _count_tables(trainer, folder / "model.safetensors")
    entries = read_log(folder / "log.jsonl")
    draw_curves(entries, folder / "curves.png")
    split = trainer.store.splits[trainer.recipe.train.evaluate_split]
    draw_spectrograms(reconstruct_some(trainer.codec, split, trainer.fabric.device, 3), folder / "spectrograms.png")
    tested = next((entry for entry in reversed(entries) if "test_mse" in entry), None)
    if tested is None:
        raise TrainingError(f"{folder}: the log holds no evaluation; it was changed by hand or is of another training")
    return Trained(
        folder=folder, step=trainer.step, test_mse=tested["test_mse"], test_perplexity=tested.get("test_perplexity")
    )


def _count_tables(trainer: Trainer, model: Path) -> None:
    """Give the finished model its entropy tables, if it makes codes."""
    if trainer.codec.quantizer.codebooks:
        trainer.codec.eval()
        tables = count_tables(trainer.codec, trainer.store.splits["train"], trainer.fabric.device)
        add_tables(model, model, tables.to_arrays(), tables.digest)
