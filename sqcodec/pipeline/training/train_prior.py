"""The stage `prior` of `train`: a model of the codes that a trained codec makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from sqcodec.corpus.store import StoreSplit
from sqcodec.errors import TrainingError
from sqcodec.model.model_file import load_model
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.training.count_tables import codes_of
from sqcodec.pipeline.training.launch import refuse_processes
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.prior.ngram import bits_a_code
from sqcodec.prior.prior_file import PRIOR, save_prior
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import CodecRecipe
from sqcodec.train.prior_trainer import CodedUtterance, Report, train_prior


@dataclass(frozen=True, kw_only=True)
class TrainedPrior:
    """The prior's file, its bits a code on the test split, and those of tables of order 0, 1 and 2."""

    path: Path
    bits: float
    orders: tuple[float, ...]


def train_prior_of(recipe: CodecRecipe, features: Path, folder: Path, *, device: str, report: Report) -> TrainedPrior:
    """Train the recipe's prior on the codes that the model in `folder` makes of a store; `folder` receives it.

    Raises TrainingError: the recipe has no prior, or the loss is not finite; ModelError: no model in `folder`;
    CorpusError: no store.
    """
    config = recipe.prior
    if config is None:
        raise TrainingError(f"recipe {recipe.name} has no section 'prior'; recipes/vctk shows one")
    refuse_processes("prior")
    place = find_device(device)
    codec = load_model(folder / "model.safetensors", place)
    store = open_store_of(recipe, features, recipe.train.evaluate_split)
    train, test = (list(_coded(codec, store.splits[split], place)) for split in ("train", recipe.train.evaluate_split))
    if not train or not test:
        raise TrainingError(f"{features}: no utterance of the splits has a speaker of {folder}'s model")
    torch.manual_seed(config.seed)
    codewords = (codec.quantizer.codewords,) * codec.quantizer.codebooks
    prior = CodePrior(config, codewords=codewords, speakers=len(codec.speakers)).to(place)
    bits = train_prior(prior, train, test, config, device=place, report=report)
    path = folder / PRIOR
    save_prior(path, prior, fingerprint=codec.fingerprint, speakers=codec.speakers, step=config.steps)
    counted, scored = [item.codes for item in train], [item.codes for item in test]
    orders = tuple(bits_a_code(counted, scored, codewords, order) for order in (0, 1, 2))
    return TrainedPrior(path=path, bits=bits, orders=orders)


def _coded(codec: SpectrogramCodec, split: StoreSplit, device: torch.device) -> Iterator[CodedUtterance]:
    """Codes and speaker of the utterances whose speaker the model knows."""
    rows = tuple(row for row in split.rows if codec.knows(row.speaker))
    known = StoreSplit(features=split.features, audio=split.audio, rows=rows)
    for row, codes in codes_of(codec, known, device):
        yield CodedUtterance(codes, codec.place_of(row.speaker))
