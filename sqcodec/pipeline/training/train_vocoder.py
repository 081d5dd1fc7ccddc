"""The verb `train` at the stage vocoder: recipe and store in, a folder with vocoder, checkpoint and log out."""

from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric

from sqcodec.corpus.store import FeatureStore
from sqcodec.errors import TrainingError
from sqcodec.file_names import MODEL, VOCODER
from sqcodec.pipeline.finding.vocoders import vocoder_file
from sqcodec.pipeline.training.coded_store import coded_store
from sqcodec.pipeline.training.launch import make_fabric, refuse_processes
from sqcodec.pipeline.training.run_folder import Stage, last_evaluation, refuse_second, run_training, stage_folder
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.recipe import IstftConfig, Recipe, WorldConfig
from sqcodec.train.trainer import Progress, Report
from sqcodec.train.vocoder.istft_trainer import IstftTrainer
from sqcodec.train.vocoder.vocoder_trainer import VocoderTrainer
from sqcodec.train.vocoder.world_trainer import WorldTrainer


@dataclass(frozen=True, kw_only=True)
class TrainedVocoder:
    """Files in `folder`, the last step, the last test figures by name."""

    folder: Path
    step: int
    figures: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Fine-tuning on decoded features: the model file of the codec, and the vocoder training to start from."""

    model: Path
    start: Path


def fine_tuning(run: Path, start: Path | None, stage: Stage) -> FineTuning:
    """What `stage` goes on with: the model of `run`, and the vocoder of the run `start` (None: of `run`).

    vocoder-on-codec: the one for recordings; joint: the one that has been fine-tuned on the codec's output, where there
    is one; live: decoder and vocoder of the stage joint. Raises TrainingError: there is no model of that stage.
    """
    first = start or run
    if stage == "live":
        model = stage_folder(run, "joint") / MODEL
        if not model.is_file():
            raise TrainingError(f"{model}: not there; `stage` live goes on from `stage` joint, train that one first")
        return FineTuning(model=model, start=vocoder_file(stage_folder(first, "joint")).parent)
    natural, tuned = stage_folder(first, "vocoder"), stage_folder(first, "vocoder-on-codec")
    is_tuned = stage == "joint" and (tuned / VOCODER).is_file()
    return FineTuning(model=run / MODEL, start=tuned if is_tuned else natural)


def train_vocoder(
    recipe: Recipe,
    features: Path,
    folder: Path,
    *,
    device: str,
    resume: bool,
    report: Report,
    progress: Progress | None = None,
    tuning: FineTuning | None = None,
) -> TrainedVocoder:
    """Train the recipe's vocoder on the store in `features`; `folder` receives everything.

    device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`. tuning: go on with a vocoder on what a codec
    makes of the store; `load_recipe(..., on_codec=True)` gives the recipe for it. Raises CorpusError: no store;
    ModelError: no codec; TrainingError: no vocoder or one that needs no training, a store of other features, `folder`
    holds a training already, nothing to resume or to start from, diverged, or asked to stop.
    """
    refuse_processes("vocoder")
    config = recipe.vocoder
    if config is None:
        raise TrainingError(f"recipe {recipe.name} has no section 'vocoder'; recipes istft and world show one")
    if not isinstance(config, IstftConfig | WorldConfig):
        raise TrainingError(
            f"recipe {recipe.name}: its vocoder is {config.kind}, which needs no training; expected istft or world, as"
            " in the recipes of these names"
        )
    store = open_store_of(recipe, features, config.train.evaluate_split, "vocoder.train")
    refuse_second(folder, resume=resume)
    fabric, codec = make_fabric(device, config.train.precision), None
    if tuning:
        split = config.train.evaluate_split
        store, codec = coded_store(store, tuning.model, folder, fabric.device, evaluate_split=split)
    trainer = _trainer(recipe, config, store, folder, fabric, codec)
    if resume:
        trainer.resume()
        trainer.restore_weights(folder / VOCODER)
    elif tuning:
        trainer.begin_from(tuning.start)
    run_training(trainer, recipe, report, progress)
    return TrainedVocoder(folder=folder, step=trainer.step, figures=figures_of(folder))


def figures_of(folder: Path) -> dict[str, float]:
    """The figures of the last test of a vocoder's training. Raises TrainingError: there was none."""
    tested = last_evaluation(folder, "test_mel_distance")
    return {name: value for name, value in tested.items() if name.startswith("test_")}


def _trainer(
    recipe: Recipe,
    config: IstftConfig | WorldConfig,
    store: FeatureStore,
    folder: Path,
    fabric: Fabric,
    codec: str | None,
) -> VocoderTrainer:
    match config:
        case IstftConfig():
            return IstftTrainer(recipe, config, store, folder, fabric, codec)
        case WorldConfig():
            return WorldTrainer(recipe, config, store, folder, fabric, codec)
