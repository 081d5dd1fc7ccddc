"""The verb `train`: recipe and store in, a run folder with model, checkpoint, log and pictures out."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from sqcodec.errors import TrainingError
from sqcodec.model.model_file import add_tables
from sqcodec.pipeline.training.count_tables import count_tables
from sqcodec.pipeline.training.launch import make_fabric, part, started_processes
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.recipe import Recipe
from sqcodec.train.codec_trainer import Report, Trainer
from sqcodec.train.curves import draw_curves, draw_spectrograms
from sqcodec.train.log import TrainingLog, read_log
from sqcodec.train.reconstruction import reconstruct_some


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
        part(fabric)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), "utf-8")
    log = TrainingLog(folder, keep_to=trainer.step)
    try:
        trainer.run(log, report)
    finally:
        log.close()
    done = _finish(trainer, folder)
    part(fabric)
    return done


def _finish(trainer: Trainer, folder: Path) -> Trained:
    _count_tables(trainer, folder / "model.safetensors")
    entries = read_log(folder / "log.jsonl")
    draw_curves(entries, folder / "curves.png")
    split = trainer.store.splits[trainer.recipe.train.evaluate_split]
    some, rate = reconstruct_some(trainer.codec, split, trainer.fabric.device, 3), trainer.codec.features.frame_rate
    draw_spectrograms(some, folder / "spectrograms.png", rate)
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
