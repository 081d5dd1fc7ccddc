"""The verb `train` at the stage vocoder: recipe and store in, a folder with vocoder, checkpoint and log out."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from lightning_fabric import Fabric

from sqcodec.corpus.store import FeatureStore
from sqcodec.errors import TrainingError
from sqcodec.pipeline.finding.vocoders import STAGE
from sqcodec.pipeline.training.coded_store import coded_store
from sqcodec.pipeline.training.launch import make_fabric, refuse_processes
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.recipe import IstftConfig, Recipe, WorldConfig
from sqcodec.train.log import TrainingLog, read_log
from sqcodec.train.vocoder.istft_trainer import IstftTrainer
from sqcodec.train.vocoder.vocoder_trainer import Report, VocoderTrainer
from sqcodec.train.vocoder.world_trainer import WorldTrainer

ON_CODEC = f"{STAGE}-on-codec"  # the folder of a run that holds the vocoder fine-tuned on its codec


@dataclass(frozen=True, kw_only=True)
class TrainedVocoder:
    """What a training left: files in `folder`, the step reached, the last test figures by name."""

    folder: Path
    step: int
    figures: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """On what a codec returns: its model file, and the folder of the vocoder training that it starts from."""

    model: Path
    start: Path


def vocoder_folder(run: Path, *, on_codec: bool) -> Path:
    """Where a run keeps the vocoder trained on recordings, or the one fine-tuned on its codec."""
    return run / (ON_CODEC if on_codec else STAGE)


def fine_tuning(run: Path, start: Path | None) -> FineTuning:
    """On the run's own codec, from the vocoder of the run `start` (None: its own)."""
    return FineTuning(model=run / "model.safetensors", start=vocoder_folder(start or run, on_codec=False))


def train_vocoder(
    recipe: Recipe,
    features: Path,
    folder: Path,
    *,
    device: str,
    resume: bool,
    report: Report,
    tuning: FineTuning | None = None,
) -> TrainedVocoder:
    """Train the recipe's vocoder on the store in `features`; `folder` receives everything.

    device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`. tuning: go on with a vocoder on what a codec
    makes of the store. Raises CorpusError: no store; ModelError: no codec; TrainingError: a vocoder that needs no
    training, a store of other features, `folder` holds a training already, nothing to resume or to start from,
    diverged, or asked to stop.
    """
    refuse_processes("vocoder")
    config = recipe.vocoder
    if not isinstance(config, IstftConfig | WorldConfig):
        raise TrainingError(
            f"recipe {recipe.name}: its vocoder is {config.kind}, which needs no training; expected istft or world, as"
            " in the recipes of these names"
        )
    store = open_store_of(recipe, features, config.train.evaluate_split)
    if (folder / "checkpoint.pt").is_file() and not resume:
        raise TrainingError(
            f"{folder} holds a training already: add `resume` to go on with it, or `folder` DIR to start another"
        )
    fabric, codec = make_fabric(device, config.train.precision), None
    if tuning:
        store, codec = coded_store(store, tuning.model, folder, fabric.device)
    trainer = _trainer(recipe, config, store, folder, fabric, codec)
    if resume:
        trainer.resume()
    elif tuning:
        trainer.begin_from(tuning.start)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), "utf-8")
    log = TrainingLog(folder, keep_to=trainer.step)
    try:
        trainer.run(log, report)
    finally:
        log.close()
    tested = [entry for entry in read_log(folder / "log.jsonl") if "test_mel_distance" in entry]
    figures = {name: value for name, value in tested[-1].items() if name.startswith("test_")} if tested else {}
    return TrainedVocoder(folder=folder, step=trainer.step, figures=figures)


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
