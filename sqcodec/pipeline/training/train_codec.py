"""The verb `train`: recipe and store in, a run folder with model, checkpoint, log and pictures out."""

from dataclasses import dataclass
from pathlib import Path

from sqcodec.errors import RecipeError, TrainingError
from sqcodec.file_names import MODEL
from sqcodec.model.model_file import add_tables
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.training.count_tables import count_tables
from sqcodec.pipeline.training.launch import make_fabric, part, started_processes
from sqcodec.pipeline.training.run_folder import last_evaluation, refuse_second, run_training
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.recipe import CodecRecipe, PaperNetworkConfig
from sqcodec.recipe.quantizer_section import ResidualConfig
from sqcodec.train.codec_trainer import CodecTrainer
from sqcodec.train.curves import CODEC_CURVES, draw_curves, draw_spectrograms
from sqcodec.train.log import read_log
from sqcodec.train.reconstruction import reconstruct_some
from sqcodec.train.trainer import Progress, Report


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Files in `folder`, the last step, the last test figures."""

    folder: Path
    step: int
    test_mse: float
    test_perplexity: float | None


def train(
    recipe: CodecRecipe,
    features: Path,
    folder: Path,
    *,
    device: str,
    resume: bool,
    report: Report,
    progress: Progress | None = None,
    compiled: bool = False,
) -> Trained | None:
    """Train the recipe's model on the store in `features`; `folder` receives everything.

    device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`. compiled: with torch.compile. Started by
    torchrun, every process takes part, the first one writes, and the others return None.
    Raises CorpusError: no store, or one of other features; TrainingError: `folder` holds a training already, nothing to
    resume, a batch that the processes cannot share, diverged, or asked to stop.
    """
    _check(recipe)
    store = open_store_of(recipe, features, recipe.train.evaluate_split)
    resting = recipe.quantizer.has_unused_parameters
    fabric = make_fabric(device, recipe.train.precision, processes=started_processes(), resting=resting)
    refuse_second(folder, resume=resume)
    trainer = CodecTrainer(recipe, store, folder, fabric, compiled=compiled)
    if resume:
        trainer.resume()
        _refuse_context(trainer, folder / MODEL)
        trainer.restore_weights(folder / MODEL)
    run_training(trainer, recipe, report, progress)
    done = _finish(trainer, folder) if fabric.is_global_zero else None
    part(fabric)
    return done


def _check(recipe: CodecRecipe) -> None:
    """Raise RecipeError: codebooks that would never be trained, a rate below that of one codebook, or batches of one
    latent, which has no variance."""
    quantizer, steps = recipe.quantizer, recipe.train.steps
    if isinstance(quantizer, ResidualConfig) and quantizer.warmup_steps >= steps:
        raise RecipeError(
            f"recipe {recipe.name}: quantizer.warmup_steps {quantizer.warmup_steps}: expected fewer than train.steps"
            f" {steps}, or the codebooks are not trained"
        )
    frozen = quantizer.freeze_step if isinstance(quantizer, ResidualConfig) else None
    if isinstance(quantizer, ResidualConfig) and frozen is not None and frozen <= quantizer.warmup_steps:
        raise RecipeError(
            f"recipe {recipe.name}: quantizer.freeze_step {frozen}: expected more than quantizer.warmup_steps"
            f" {quantizer.warmup_steps}, or the codebooks are not trained"
        )
    latents = recipe.train.batch * (recipe.train.frames // recipe.features.configuration.frames_per_code)
    if isinstance(recipe.network, PaperNetworkConfig) and latents < 2:
        raise RecipeError(
            f"recipe {recipe.name}: train.batch {recipe.train.batch} and train.frames {recipe.train.frames} make"
            " batches of a single latent, which the encoder cannot normalise; expected two or more: enlarge either"
        )
    if recipe.bit_rate is not None and quantizer.codewords:
        least = recipe.features.configuration.code_rate * (quantizer.codewords - 1).bit_length()
        if recipe.bit_rate < least:
            raise RecipeError(
                f"recipe {recipe.name}: bit_rate {recipe.bit_rate:g}: expected at least {least:g}, the rate of one"
                " codebook"
            )


def _refuse_context(trainer: CodecTrainer, model: Path) -> None:
    """Another codec would take the place of one that files with a context model may have been written with."""
    if model.is_file() and not trainer.is_last and read_header(model).context is not None:
        raise TrainingError(
            f"{model}: has a context model, which files may have been written with, and which a codec that goes on"
            " learning would lose; copy the folder, remove model.safetensors from the copy, and resume there"
        )


def _finish(trainer: CodecTrainer, folder: Path) -> Trained:
    _count_tables(trainer, folder / MODEL)
    draw_curves(read_log(folder / "log.jsonl"), CODEC_CURVES, folder / "curves.png")
    split = trainer.store.splits[trainer.recipe.train.evaluate_split]
    some, rate = reconstruct_some(trainer.codec, split, trainer.fabric.device, 3), trainer.codec.features.frame_rate
    draw_spectrograms(some, folder / "spectrograms.png", rate)
    tested = last_evaluation(folder, "test_mse")
    return Trained(
        folder=folder, step=trainer.step, test_mse=tested["test_mse"], test_perplexity=tested.get("test_perplexity")
    )


def _count_tables(trainer: CodecTrainer, model: Path) -> None:
    """Add entropy tables to the finished model, if it has codes and no tables yet.

    Files are written with the tables that are there, and another device may round otherwise and count others.
    """
    if trainer.codec.quantizer.codebooks and read_header(model).tables is None:
        trainer.codec.eval()
        tables = count_tables(trainer.codec, trainer.store.splits["train"], trainer.fabric.device)
        add_tables(model, model, tables.to_arrays(), tables.digest)
