"""The verb `train` at the stage joint: decoder and vocoder learn together from the codes of a run's model."""

from pathlib import Path

from torch import Tensor

from sqcodec.corpus.store import StoreSplit
from sqcodec.errors import RecipeError
from sqcodec.file_names import CHECKPOINT, MODEL, VOCODER
from sqcodec.model.decoder_lookahead import with_decoder_lookahead
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.training.coded_store import codec_for
from sqcodec.pipeline.training.give_contrast import contrast_lost_by
from sqcodec.pipeline.training.kept_codes import Finding, prefix_codes
from sqcodec.pipeline.training.launch import make_fabric, refuse_processes
from sqcodec.pipeline.training.run_folder import refuse_second, run_training
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.pipeline.training.train_vocoder import FineTuning, TrainedVocoder, figures_of
from sqcodec.recipe import CodecRecipe
from sqcodec.spectrogram import FeatureConfig
from sqcodec.train.checkpoint import require_checkpoint
from sqcodec.train.trainer import Progress, Report
from sqcodec.train.vocoder.joint_trainer import Coded, JointTrainer
from sqcodec.train.vocoder.perceptual import shortest
from sqcodec.vocoder.vocoder_file import load_vocoder
from sqcodec.vocoder.vocoder_header import read_header


def train_joint(
    recipe: CodecRecipe,
    features: Path,
    folder: Path,
    *,
    tuning: FineTuning,
    device: str,
    resume: bool,
    report: Report,
    progress: Progress | None = None,
    finding: Finding | None = None,
) -> TrainedVocoder:
    """Go on with the decoder of the model `tuning.model` and the vocoder in `tuning.start`; `folder`, of a stage in the
    run folder above it, receives a model with the same codes, its vocoder, checkpoint and log; `codes` beside it the
    codes that it learned from.

    recipe: `load_recipe(..., on_codec=True)`. device: as of `train_vocoder`. Raises RecipeError: no
    section `joint`, or one that does not fit; TrainingError: as `train_vocoder`; ModelError: no model, or one of other
    features, or whose network looks less far ahead.
    """
    refuse_processes("joint")
    config = recipe.joint_vocoder
    assert recipe.joint is not None
    store = open_store_of(recipe, features, config.train.evaluate_split, "joint.vocoder.train")
    check_heard(recipe, store.features)
    refuse_second(folder, resume=resume, remedy="remove that folder")
    fabric = make_fabric(device, config.train.precision)
    if resume:
        require_checkpoint(folder / CHECKPOINT)
    codec = codec_for(store, tuning.model, fabric.device)
    if not resume:
        read_header(tuning.start / VOCODER)  # before the codes are sought
    folder.mkdir(parents=True, exist_ok=True)
    codes = prefix_codes(codec, store, "train", folder.parent, finding)
    changed = with_decoder_lookahead(codec, recipe.joint.decoder_lookahead).to(fabric.device)
    lost = None if resume else _lost(recipe, store.splits["train"], changed, tuning)
    trainer = JointTrainer(recipe, store, folder, fabric, Coded(changed, tuning.model, codes, lost))
    if resume:
        trainer.resume()
        trainer.restore_weights(folder / MODEL, folder / "vocoder" / VOCODER)
    else:
        trainer.begin_from(tuning.start)
    run_training(trainer, recipe, report, progress)
    return TrainedVocoder(folder=folder, step=trainer.step, figures=figures_of(folder))


def check_heard(recipe: CodecRecipe, features: FeatureConfig) -> None:
    """Raise RecipeError where crops are too short for the losses of what is heard."""
    if recipe.joint is None or recipe.joint.heard is None:
        return
    vocoder = recipe.joint_vocoder
    judged = -(-shortest(features.sample_rate) // features.hop_length)
    least = judged + sum(vocoder.discriminators.margins)
    if vocoder.train.frames < least:
        raise RecipeError(
            f"recipe {recipe.name}: joint.heard needs joint.vocoder.train.frames of {least} or more ({judged} and"
            f" the margins of the discriminators), got {vocoder.train.frames}"
        )


def _lost(recipe: CodecRecipe, split: StoreSplit, codec: SpectrogramCodec, tuning: FineTuning) -> Tensor | None:
    """The contrast that the codec loses, where the losses are to see it and the vocoder to start from has none yet."""
    assert recipe.joint is not None
    if recipe.joint.heard is None or recipe.contrast is None:
        return None
    start = load_vocoder(tuning.start / VOCODER, codec.features)
    if start.kind != "istft" or start.network.contrast is not None:
        return None
    return contrast_lost_by(codec, split, tuning.model)
