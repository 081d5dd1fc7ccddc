"""The stage `prior` of `train`: a model of the codes that a trained codec makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from sqcodec.corpus.store import StoreSplit
from sqcodec.errors import TrainingError
from sqcodec.file_names import MODEL
from sqcodec.model.model_file import load_model
from sqcodec.model.model_header import no_codes
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.training.count_tables import codes_of
from sqcodec.pipeline.training.launch import make_fabric, refuse_processes
from sqcodec.pipeline.training.run_folder import last_evaluation, refuse_second, run_training, stage_folder
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.prior.ngram import bits_per_code
from sqcodec.prior.prior_file import PRIOR
from sqcodec.recipe import CodecRecipe
from sqcodec.train.curves import PRIOR_CURVES, draw_curves
from sqcodec.train.log import read_log
from sqcodec.train.prior_trainer import CodedCorpus, CodedUtterance, PriorTrainer
from sqcodec.train.trainer import Progress, Report


@dataclass(frozen=True, kw_only=True)
class TrainedPrior:
    """The prior's file, its bits per code on the test split, and those of tables of order 0, 1 and 2."""

    path: Path
    bits: float
    orders: tuple[float, ...]


def train_prior_of(
    recipe: CodecRecipe,
    features: Path,
    run: Path,
    *,
    device: str,
    resume: bool,
    report: Report,
    progress: Progress | None = None,
) -> TrainedPrior:
    """Train the recipe's prior on the codes that the model in `run` makes of a store.

    `run` receives the prior, its folder `prior` checkpoint, log and pictures. device: `auto` (a GPU where there is
    one), `cpu`, `cuda` or `cuda:N`. Raises TrainingError: the recipe has no prior, `run` holds a training of one
    already, nothing to resume, diverged, or asked to stop; ModelError: no model in `run`, or one without codes;
    CorpusError: no store.
    """
    config = recipe.prior
    if config is None:
        raise TrainingError(f"recipe {recipe.name} has no section 'prior'; recipes/vctk shows one")
    refuse_processes("prior")
    folder = stage_folder(run, "prior")
    refuse_second(folder, resume=resume, remedy="remove that folder")
    fabric = make_fabric(device, "32-true")
    codec = load_model(run / MODEL, fabric.device)
    if not codec.quantizer.codebooks:
        raise no_codes(run / MODEL)
    corpus = _coded_corpus(codec, recipe, features, run)
    trainer = PriorTrainer(config, corpus, folder, fabric, path=run / PRIOR)
    if resume:
        trainer.resume()
        trainer.restore_weights(run / PRIOR)
    run_training(trainer, recipe, report, progress)
    draw_curves(read_log(folder / "log.jsonl"), PRIOR_CURVES, folder / "curves.png")
    bits = last_evaluation(folder, "test_bits")["test_bits"]
    counted, scored = [item.codes for item in corpus.train], [item.codes for item in corpus.test]
    orders = tuple(bits_per_code(counted, scored, corpus.codewords, order) for order in (0, 1, 2))
    return TrainedPrior(path=run / PRIOR, bits=bits, orders=orders)


def _coded_corpus(codec: SpectrogramCodec, recipe: CodecRecipe, features: Path, run: Path) -> CodedCorpus:
    evaluate_split = recipe.train.evaluate_split
    store = open_store_of(recipe, features, evaluate_split)
    device = next(codec.parameters()).device
    train, test = (list(_coded(codec, store.splits[split], device)) for split in ("train", evaluate_split))
    if not train or not test:
        raise TrainingError(f"{features}: no utterance of the splits has a speaker of {run}'s model")
    return CodedCorpus(
        train=train,
        test=test,
        codewords=(codec.quantizer.codewords,) * codec.quantizer.codebooks,
        speakers=codec.speakers,
        fingerprint=codec.fingerprint,
        digest=store.digest,
    )


def _coded(codec: SpectrogramCodec, split: StoreSplit, device: torch.device) -> Iterator[CodedUtterance]:
    """Codes and speaker index of the utterances of known speakers."""
    rows = tuple(row for row in split.rows if codec.knows(row.speaker))
    known = StoreSplit(features=split.features, audio=split.audio, rows=rows)
    for row, codes in codes_of(codec, known, device):
        yield CodedUtterance(codes, codec.speaker_index(row.speaker))
