"""The stage `context` of `train`: the context model of a trained codec, which its codes files are coded with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sqcodec.bitstream.ans import pack_codes
from sqcodec.bitstream.context_coder import Part, frame_bits
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.errors import ModelError, TrainingError
from sqcodec.file_names import CHECKPOINT, MODEL
from sqcodec.model.model_file import add_context, load_model
from sqcodec.model.model_header import no_codes, read_header
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.pipeline.training.kept_codes import Finding, prefix_codes, searched_codes
from sqcodec.pipeline.training.launch import make_fabric, refuse_processes
from sqcodec.pipeline.training.run_folder import Stage, refuse_second, run_training, stage_folder
from sqcodec.pipeline.training.stores import open_store_of
from sqcodec.recipe import CodecRecipe
from sqcodec.train.checkpoint import load_checkpoint, require_checkpoint
from sqcodec.train.context_network import blend_, integer_grid, to_integers
from sqcodec.train.context_trainer import ContextCorpus, ContextTrainer, Searched
from sqcodec.train.curves import CONTEXT_CURVES, SEARCHED_CURVES, draw_curves
from sqcodec.train.log import read_log
from sqcodec.train.prefix_codes import PrefixCodes
from sqcodec.train.trainer import Progress, Report

_SEARCHED = "searched"  # the folder of its second part
_TEST_BLOCKS = 64  # that are coded at the end, of the test split
_BLOCK = 500  # codes of a block


@dataclass(frozen=True, kw_only=True)
class TrainedContext:
    """The model file that has the context model now. bits: a code of the test split with all stages, by the context
    model in integers; by the model's entropy tables; and at fixed width. replaceable: the run's checkpoint can
    write the model anew."""

    path: Path
    bits: float
    by_tables: float | None
    fixed: float
    replaceable: bool


def train_context(
    recipe: CodecRecipe,
    features: Path,
    run: Path,
    *,
    device: str,
    resume: bool,
    report: Report,
    progress: Progress | None = None,
    finding: Finding | None = None,
) -> TrainedContext:
    """Train the recipe's context model on the codes that the model in `run` makes of a store, and add it to that model
    and those of its stages joint, live and contrast that have the same codes.

    `run`/context receives checkpoint, log and pictures, context/searched those of the second part, with the codes that
    it learned from; `run`/codes has those of the first. Raises TrainingError: the recipe has no context model, or no
    stages to search over, `run` holds a training of one already, nothing to resume, diverged, or asked to stop;
    ModelError: no model in `run`, one without codes, or one that has a context model; CorpusError: no store.
    """
    config = recipe.context
    if config is None:
        raise TrainingError(f"recipe {recipe.name} has no section 'context'; recipes/speech16k shows one")
    if config.searched is not None and recipe.quantizer.kind != "residual":
        raise TrainingError(
            f"recipe {recipe.name}: context.searched needs quantizer.kind residual, whose stages are searched over;"
            " `overrides` context.searched=null leaves it out"
        )
    refuse_processes("context")
    folder, path = stage_folder(run, "context"), run / MODEL
    if read_header(path).context is not None:
        raise ModelError(
            f"{path}: has a context model, which files may have been written with; to train another,"
            f" copy the run folder, remove context and {MODEL} from the copy, and train it with `resume`, which writes"
            " that file anew"
        )
    for part in (folder, folder / _SEARCHED):
        refuse_second(part, resume=resume, remedy="remove that folder")
    if resume:
        require_checkpoint(folder / CHECKPOINT)
    fabric = make_fabric(device, "32-true")
    codec = load_model(path, fabric.device)
    if not codec.quantizer.codebooks:
        raise no_codes(path)
    trainer = ContextTrainer(config, _corpus(codec, recipe, features, run, finding), folder, fabric)
    if resume:
        trainer.resume()
        _refuse_foreign_second(trainer)
    else:
        _begin_with(trainer, run / CHECKPOINT)
    run_training(trainer, recipe, report, progress)
    draw_curves(read_log(folder / "log.jsonl"), CONTEXT_CURVES, folder / "curves.png")
    if config.searched is not None:
        former, trainer = trainer, _on_searched(recipe, trainer, codec, features, finding)
        run_training(trainer, recipe, report, progress)
        draw_curves(read_log(trainer.folder / "log.jsonl"), SEARCHED_CURVES, trainer.folder / "curves.png")
        blend_(trainer.network, former.network, config.searched.share)
    model = to_integers(trainer.network)
    parts = _test_parts(model, trainer.corpus.test)
    costs, codes = frame_bits(parts, model, stops=False), sum(part.codes.size for part in parts)
    tables, widths = read_space(path).tables, [codec.quantizer.codewords] * codec.quantizer.codebooks
    coded = [len(pack_codes(part.codes, 0, tables, widths)) for part in parts]
    for receiver in _receivers(run, read_header(path).fingerprint):
        add_context(receiver, receiver, model.arrays, model.digest)
    add_context(path, path, model.arrays, model.digest)  # last: until then the training can be resumed
    return TrainedContext(
        path=path,
        bits=float(sum(cost.sum() for cost in costs)) / codes,
        by_tables=8 * sum(coded) / codes if tables else None,
        fixed=float((codec.quantizer.codewords - 1).bit_length()),
        replaceable=(run / CHECKPOINT).is_file(),
    )


def _receivers(run: Path, fingerprint: str) -> list[Path]:
    """Models of later stages with the codes of this fingerprint: files that are written with the run's model are for
    them, too."""
    stages: tuple[Stage, ...] = ("joint", "live", "contrast")
    folders = [stage_folder(run, stage) for stage in stages]
    models = [folder / MODEL for each in folders for folder in (each, stage_folder(each, "contrast"))]
    return [model for model in models if model.is_file() and read_header(model).fingerprint == fingerprint]


def _begin_with(trainer: ContextTrainer, checkpoint: Path) -> None:
    """Begin with the context model that was trained along with the codec, if one was."""
    state = load_checkpoint(checkpoint, trainer.fabric.device) if checkpoint.is_file() else {}
    if "context" in state:
        trainer.begin_with(state["context"]["network"], checkpoint)


def _refuse_foreign_second(first: ContextTrainer) -> None:
    """Where the first part has steps to do, a second part is not its own."""
    second = first.folder / _SEARCHED
    if first.step < first.config.steps and (second / CHECKPOINT).is_file():
        raise TrainingError(
            f"{second}: holds a second part, but the first has steps to do ({first.step} of {first.config.steps}), so"
            " it is of another training; remove that folder, then `resume` goes on"
        )


def _corpus(
    codec: SpectrogramCodec, recipe: CodecRecipe, features: Path, run: Path, finding: Finding | None
) -> ContextCorpus:
    store = open_store_of(recipe, features, recipe.train.evaluate_split)
    train, test = (prefix_codes(codec, store, split, run, finding) for split in ("train", recipe.train.evaluate_split))
    return ContextCorpus(
        train=train,
        test=test,
        grid=integer_grid(codec.quantizer.effective_codebook),
        sender=codec.sender_digest,
        digest=store.digest,
    )


def _on_searched(
    recipe: CodecRecipe, former: ContextTrainer, codec: SpectrogramCodec, features: Path, finding: Finding | None
) -> ContextTrainer:
    """The training that goes on with codes which are searched with the context model so far."""
    assert recipe.context is not None
    model, folder = to_integers(former.network), former.folder / _SEARCHED
    store = open_store_of(recipe, features, recipe.train.evaluate_split)
    train, test = (
        searched_codes(codec, store, split, model, folder, finding) for split in ("train", recipe.train.evaluate_split)
    )
    corpus = former.corpus._replace(searched=Searched(train, test, model.digest))
    trainer = ContextTrainer(recipe.context.on_searched, corpus, folder, former.fabric)
    if trainer.checkpoint.is_file():
        trainer.resume()
    else:
        trainer.begin_with(former.network.state_dict(), former.checkpoint)
    return trainer


def _test_parts(model: ContextModel, test: PrefixCodes) -> list[Part]:
    """The codes of the first test utterances, with all stages, each utterance a block of its own."""
    offsets = np.concatenate([[0], np.cumsum(test.lengths)])[: len(test.lengths)][:_TEST_BLOCKS]
    parts = []
    for begin, length in zip(offsets, test.lengths, strict=False):
        codes = test.codes[begin : begin + min(length, _BLOCK), -model.books :].T
        parts.append(Part(np.ascontiguousarray(codes), np.full(codes.shape[1], model.books, np.uint8)))
    return parts
