"""From a folder of speech to the files that ship: a codec, its context model, its vocoder on natural speech, then on
the codec, then decoder and vocoder together, also with less look-ahead, and last the contrast that each decoder
smooths away.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqcodec.corpus.store import open_store
from sqcodec.errors import RecipeError, StoppedError, TrainingError
from sqcodec.file_names import CHECKPOINT, MODEL, VOCODER
from sqcodec.model import model_header
from sqcodec.pipeline.device import find_device
from sqcodec.pipeline.finding.vocoders import vocoder_file
from sqcodec.pipeline.paths import written
from sqcodec.pipeline.training.finished import refuse_other
from sqcodec.pipeline.training.give_contrast import give_contrast
from sqcodec.pipeline.training.kept_codes import Finding
from sqcodec.pipeline.training.prepare import count_reasons, prepare
from sqcodec.pipeline.training.run_folder import Stage, begun_recipe, last_vocoder, made_after, stage_folder
from sqcodec.pipeline.training.shipping import ship_model, ship_receiver, ship_vocoder
from sqcodec.pipeline.training.train_codec import train
from sqcodec.pipeline.training.train_context import train_context
from sqcodec.pipeline.training.train_joint import check_heard, train_joint
from sqcodec.pipeline.training.train_vocoder import FineTuning, fine_tuning, train_vocoder
from sqcodec.recipe import CodecRecipe, TrainedVocoderConfig, load_recipe
from sqcodec.vocoder.vocoder_header import read_header

_TENTHS = 10
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Made:
    """Folders of files that ship: the codec with the vocoder for it; the same codes with a decoder and a vocoder that
    look less far ahead (None: the recipe has no section `joint.live`); the vocoder for natural speech."""

    codec: Path
    live: Path | None
    vocoder: Path


@dataclass(frozen=True)
class _Stage:
    """What every training reads, and where its log goes. digest: of the feature store."""

    features: Path
    digest: str
    device: str
    report: Report

    def report_of(self, training: str) -> Callable[[dict[str, Any]], None]:
        def report(entry: dict[str, Any]) -> None:
            values = [f"{name.replace('_', ' ')} {x:.3f}" for name, x in entry.items() if isinstance(x, float)]
            self.report(f"{training}, step {entry['step']}: {', '.join(values)}")

        return report

    def finding_of(self, training: str) -> Finding:
        """Reports each tenth of the utterances whose codes are found."""

        def finding(done: int, total: int) -> None:
            if done * _TENTHS // total > (done - 1) * _TENTHS // total:
                self.report(f"{training}: codes of {done} of {total} utterances")

        return finding


def make_model(
    recipe: str,
    speech: Path,
    work: Path,
    out: Path,
    *,
    device: str,
    jobs: int,
    report: Report,
    overrides: tuple[str, ...] = (),
) -> Made:
    """Prepare `speech`, train codec and vocoders in `work`, write to `out` what ships; each stage where it was left.

    jobs: processes that make features. report: gets a line for each entry of a training's log. On a GPU the codec is
    compiled. Raises RecipeError: the recipe has no codec, or no vocoder to train; StoppedError: a training was asked to
    stop; and what the stages raise.
    """
    natural = load_recipe(recipe, overrides).codec
    on_codec = load_recipe(recipe, overrides, on_codec=True).codec
    if not isinstance(natural.vocoder, TrainedVocoderConfig):
        raise RecipeError(f"recipe {natural.name} has no vocoder that is trained; recipes istft and world show one")
    if natural.contrast is not None and natural.vocoder.kind != "istft":
        raise RecipeError(f"recipe {natural.name}: contrast needs vocoder.kind istft, got {natural.vocoder.kind}")
    for recipe_of_joint in (on_codec, *([on_codec.live] if on_codec.joint and on_codec.joint.live else [])):
        check_heard(recipe_of_joint, on_codec.features.configuration)
    run, tuned, features = work / natural.name, work / "on-codec", work / "features"
    live = out / f"{natural.name}-live" if on_codec.joint and on_codec.joint.live else None
    made = Made(codec=out / natural.name, live=live, vocoder=out / natural.vocoder.kind)
    _make(made.codec)
    prepared = prepare(recipe, data=speech, out=features, overrides=overrides, jobs=jobs)
    for line in (*prepared.remarks, *count_reasons(prepared.reports)):
        report(line)
    stage = _Stage(features, open_store(features).digest, device, report)
    try:
        _train_codec(natural, run, stage, later=[tuned] if (tuned / MODEL).exists() else [])
        _train_vocoder(natural, "vocoder", run, stage, later=made_after(tuned, "vocoder"))
        if not _has_tables(tuned / MODEL):  # the model that ships: its vocoder learns from what it returns
            ship_model(run / MODEL, tuned / MODEL, stage.features, device=device)
        _train_context(on_codec, tuned, stage)
        tuning = fine_tuning(tuned, run, "vocoder-on-codec")
        later = made_after(tuned, "vocoder-on-codec")
        _train_vocoder(on_codec, "vocoder-on-codec", tuned, stage, tuning, later=later)
        if on_codec.joint:
            _train_joint(on_codec, "joint", tuned, stage, later=made_after(tuned, "joint"))
            if on_codec.joint.live:
                _train_joint(on_codec.live, "live", tuned, stage, later=[])
    except StoppedError:
        raise StoppedError(f"stopped, all saved in {work}; the same command goes on from here") from None
    last = stage_folder(tuned, "joint") if on_codec.joint else tuned
    with written(made.codec / MODEL) as draft:
        shutil.copy(last / MODEL, draft)
    ship_vocoder(_shipped_vocoder(on_codec, last, stage), vocoder_file(made.codec))
    if made.live:
        receiver = stage_folder(tuned, "live")
        ship_receiver(receiver / MODEL, made.codec / MODEL, made.live / MODEL)
        ship_vocoder(_shipped_vocoder(on_codec, receiver, stage), vocoder_file(made.live))
    ship_vocoder(stage_folder(run, "vocoder") / VOCODER, vocoder_file(made.vocoder))
    return made


def _make(folder: Path) -> None:
    """Raise TrainingError: there can be no such folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder}: no folder can be made there: {error.strerror or error}") from error


def _refuse_stale(folder: Path, later: Sequence[Path]) -> None:
    """Raise TrainingError: the training in `folder` is to go on, and `later` was made from it before."""
    if later:
        listed = " and ".join(map(str, later))
        raise TrainingError(
            f"{folder}: has steps to do, but {listed} came of it before; remove that to make what follows anew"
        )


def _refuse_other_begun(name: Stage, folder: Path, recipe: CodecRecipe, stage: _Stage) -> None:
    """Raise TrainingError: the training in `folder` began with other values, or with other features."""
    if (folder / CHECKPOINT).is_file():
        refuse_other(name, folder, recipe, stage.digest, is_finished=False)


def _train_codec(recipe: CodecRecipe, folder: Path, stage: _Stage, *, later: Sequence[Path]) -> None:
    """Unless the model there has all its steps and, last of all, its entropy tables."""
    if _has_tables(folder / MODEL) and model_header.read_header(folder / MODEL).step >= recipe.train.steps:
        refuse_other("model", folder, recipe, stage.digest)
        return
    _refuse_stale(folder, later)
    _refuse_other_begun("model", folder, recipe, stage)
    train(
        recipe,
        stage.features,
        folder,
        device=stage.device,
        resume=(folder / CHECKPOINT).is_file(),
        report=stage.report_of("codec"),
        compiled=find_device(stage.device).type == "cuda",
    )


def _train_context(recipe: CodecRecipe, run: Path, stage: _Stage) -> None:
    """Unless the recipe has none, or the model has it.

    Raises TrainingError: it has another one than the recipe's, or one of which the run does not tell.
    """
    folder, has_one = stage_folder(run, "context"), model_header.read_header(run / MODEL).context is not None
    if has_one and (recipe.context is None or begun_recipe(folder) is None):
        reason = "the recipe has none" if recipe.context is None else f"{folder} is gone"
        raise TrainingError(f"{run / MODEL}: has a context model, but {reason}; remove {run} to make it anew")
    if recipe.context is None:
        return
    if has_one:
        refuse_other("context", folder, recipe, stage.digest, remove=run)
        return
    _refuse_other_begun("context", folder, recipe, stage)
    train_context(
        recipe,
        stage.features,
        run,
        device=stage.device,
        resume=(folder / CHECKPOINT).is_file(),
        report=stage.report_of("context"),
        finding=stage.finding_of("context"),
    )


def _train_joint(
    recipe: CodecRecipe, name: Literal["joint", "live"], run: Path, stage: _Stage, *, later: Sequence[Path]
) -> None:
    """Unless the vocoder there has all its steps."""
    folder = stage_folder(run, name)
    vocoder = vocoder_file(folder)
    if vocoder.is_file() and read_header(vocoder).step >= recipe.joint_vocoder.train.steps:
        refuse_other(name, folder, recipe, stage.digest)
        return
    _refuse_stale(folder, later)
    _refuse_other_begun(name, folder, recipe, stage)
    train_joint(
        recipe,
        stage.features,
        folder,
        tuning=fine_tuning(run, None, name),
        device=stage.device,
        resume=(folder / CHECKPOINT).is_file(),
        report=stage.report_of(name),
        finding=stage.finding_of(name),
    )


def _shipped_vocoder(recipe: CodecRecipe, run: Path, stage: _Stage) -> Path:
    """The vocoder of a run's codec, with the recipe's contrast where it has one."""
    if recipe.contrast is not None:
        return vocoder_file(give_contrast(recipe, stage.features, run, device=stage.device))
    return last_vocoder(run)


def _has_tables(model: Path) -> bool:
    return model.is_file() and model_header.read_header(model).tables is not None


def _train_vocoder(
    recipe: CodecRecipe,
    name: Literal["vocoder", "vocoder-on-codec"],
    run: Path,
    stage: _Stage,
    tuning: FineTuning | None = None,
    *,
    later: Sequence[Path],
) -> None:
    """Unless the vocoder there has all its steps."""
    assert isinstance(recipe.vocoder, TrainedVocoderConfig)
    folder = stage_folder(run, name)
    if (folder / VOCODER).is_file() and read_header(folder / VOCODER).step >= recipe.vocoder.train.steps:
        refuse_other(name, folder, recipe, stage.digest)
        return
    _refuse_stale(folder, later)
    _refuse_other_begun(name, folder, recipe, stage)
    train_vocoder(
        recipe,
        stage.features,
        folder,
        device=stage.device,
        resume=(folder / CHECKPOINT).is_file(),
        report=stage.report_of(name),
        tuning=tuning,
    )
