"""The stage `contrast` of `train`: a vocoder that gives back fine structure which the run's decoder smooths away."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch

from sqcodec.corpus.store import StoreRow, StoreSplit
from sqcodec.errors import TrainingError, VocoderError
from sqcodec.file_names import MODEL
from sqcodec.model.model_header import write_whole
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.finding.vocoders import vocoder_file
from sqcodec.pipeline.training.coded_store import codec_for, no_known_speaker, reconstructed
from sqcodec.pipeline.training.launch import refuse_processes
from sqcodec.pipeline.training.run_folder import last_vocoder, stage_folder
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.recipe import CodecRecipe, TrainedVocoderConfig
from sqcodec.vocoder.contrast import lost_contrast, with_contrast
from sqcodec.vocoder.istft import IstftNetwork
from sqcodec.vocoder.vocoder_file import config_of, load_vocoder, save_vocoder
from sqcodec.vocoder.vocoder_header import read_header

_FRAMES = 60_000  # or up to twice as many, of evenly spaced utterances: ten minutes


def give_contrast(recipe: CodecRecipe, features: Path, run: Path, *, device: str) -> Path:
    """Measure on the training split of the store in `features` what the model in `run` smooths away, coding with 1 to
    all of its codebooks; `run`/contrast, which is returned, gets the model and a vocoder that gives a part of it back.

    recipe: `load_recipe(..., on_codec=True)`, whose refinement the vocoder gets. The vocoder is the one that was tuned
    on the codec's output, or the run's; of format 2, none that has its contrast already, which such files do not tell.
    One that learned with a contrast (`joint.heard`) keeps its layers and its refinement; the target is measured anew.

    Raises TrainingError: the recipe has no contrast, the store has other features or lacks a split, the model knows
    none of its speakers, or several processes; ModelError: no model in `run`, a plain VAE, or one of other features;
    VocoderError: no vocoder there, no `istft`, one that this stage made, or one for other features; CorpusError: no
    store.
    """
    refuse_processes("contrast")
    if recipe.contrast is None:
        raise TrainingError(f"recipe {recipe.name} has no key 'contrast'; recipe speech16k shows one")
    store = open_store_of(recipe, features, recipe.evaluate_split)
    model = run / MODEL
    codec = codec_for(store, model, find_device(device))
    path = last_vocoder(run)
    header = read_header(path)
    if header.kind != "istft":
        raise VocoderError(f"{path}: contrast needs a vocoder of the kind istft, got {header.kind}")
    network = cast(IstftNetwork, load_vocoder(path, codec.features).network)
    if network.contrast is not None and run.name == stage_folder(run, "contrast").name:
        raise VocoderError(f"{path}: has its contrast; give the run that it was made of, {run.parent}")
    lost = contrast_lost_by(codec, store.splits["train"], model)
    folder = stage_folder(run, "contrast")
    vocoder_file(folder).parent.mkdir(parents=True, exist_ok=True)
    write_whole(model, folder / model.name)
    save_vocoder(
        vocoder_file(folder),
        with_contrast(network, lost, recipe.contrast),
        config=_refined_as(config_of(header), recipe) if network.contrast is None else config_of(header),
        features=header.features,
        step=header.step,
        codec=codec.fingerprint,
    )
    return folder


def contrast_lost_by(codec: SpectrogramCodec, split: StoreSplit, model: Path) -> torch.Tensor:
    """`lost_contrast` [F] of evenly spaced utterances of known speakers. Raises TrainingError: none is known."""
    known = [row for row in split.rows if codec.knows(row.speaker)]
    if not known:
        raise no_known_speaker(model)
    return lost_contrast(*_both(codec, split, known), codec.features.decibels_per_unit)


def _refined_as(config: TrainedVocoderConfig, recipe: CodecRecipe) -> TrainedVocoderConfig:
    """With the recipe's refinement, which may be newer than the vocoder."""
    if recipe.vocoder is None or recipe.vocoder.kind != "istft":
        return config
    return config.model_copy(update={"refinement": recipe.vocoder.refinement})


def _both(codec: SpectrogramCodec, split: StoreSplit, rows: Sequence[StoreRow]) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames [N, F] of evenly spaced ones of these utterances, recorded and decoded."""
    chosen = rows[:: max(1, sum(row.frames for row in rows) // _FRAMES)]
    pairs = [(split.features_of(row).T, reconstructed(split, row, codec)) for row in chosen]
    recorded, decoded = (torch.from_numpy(np.concatenate(side).astype(np.float32)) for side in zip(*pairs, strict=True))
    return recorded, decoded
