"""The folder of a training: where it is, the recipe that it began with, its log, and what to do when it exists."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from sqcodec.errors import ModelError, TrainingError
from sqcodec.file_names import CHECKPOINT, MODEL, VOCODER
from sqcodec.locking import alone
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.finding.vocoders import STAGE, vocoder_file
from sqcodec.pipeline.training.stores import check_corpus
from sqcodec.recipe import CodecRecipe, PaperNetworkConfig, Recipe, load_recipe
from sqcodec.storage import write_text
from sqcodec.train.log import TrainingLog, read_log
from sqcodec.train.trainer import Progress, Report, Trainer

Stage = Literal["model", "vocoder", "vocoder-on-codec", "joint", "live", "contrast", "prior", "context"]
_RECIPE = "recipe.yaml"
_ON_CODEC = ("vocoder-on-codec", "joint", "live", "contrast")
_FOLDERS = {
    "model": "",
    "vocoder": STAGE,
    "vocoder-on-codec": f"{STAGE}-on-codec",
    "joint": "joint",
    "live": "live",
    "contrast": "contrast",
    "prior": "prior",
    "context": "context",
}
_LATER: dict[Stage, tuple[Stage, ...]] = {
    "model": ("prior", "context", "vocoder-on-codec", "joint", "live", "contrast"),
    "vocoder": ("vocoder-on-codec", "joint", "live", "contrast"),
    "vocoder-on-codec": ("joint", "live", "contrast"),
    "joint": ("live",),
}
_SEEDS = {
    "model": "train.seed",
    "vocoder": "vocoder.train.seed",
    "vocoder-on-codec": "vocoder.train.seed",
    "joint": "joint.vocoder.train.seed",
    "live": "joint.live.vocoder.train.seed",
    "prior": "prior.seed",
    "context": "context.seed",
}

_LARGE, _MANY, _FIRST = 256, 20_000, 4000  # channels; steps that take hours; steps of a first model


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training to begin or to resume: `recipe` on the store in `features`, in the run folder `run`."""

    recipe: Recipe
    features: Path
    run: Path
    stage: Stage
    resume: bool

    @property
    def folder(self) -> Path:
        """Checkpoint and log of the stage."""
        return stage_folder(self.run, self.stage)


def begin(
    recipe: str,
    overrides: tuple[str, ...] = (),
    *,
    stage: Stage,
    features: Path | None = None,
    out: Path | None = None,
    seed: int | None = None,
    resume: bool = False,
) -> Plan:
    """What a training is to do. It resumes with the recipe that it began with, overrides included.

    recipe: a path or a name. features: None: data/NAME of the recipe; out: the run folder, None: runs/NAME.
    Raises RecipeError: no such recipe, or a wrong override; TrainingError: an override of `corpus` that is not what
    the store was made with.
    """
    named = load_recipe(recipe, tuple(override for override in overrides if override.startswith("name=")))
    changes = overrides if seed is None else (*overrides, *_seeding(named, stage, seed))
    run = out or Path("runs") / named.name
    begun = stage_folder(run, stage) / _RECIPE
    again = resume and begun.is_file()
    if stage == "live" and again:  # its recipe has values of `joint.live` in place of those of `joint`
        changes = tuple(re.sub(r"^joint\.live\.", "joint.", change) for change in _reaching_live(recipe, changes))
    chosen = load_recipe(str(begun) if again else recipe, changes, on_codec=stage in _ON_CODEC)
    if stage == "live" and not again:
        chosen = chosen.codec.live
    features = features or Path("data") / chosen.name
    check_corpus(chosen, features, overrides)
    return Plan(recipe=chosen, features=features, run=run, stage=stage, resume=resume)


def _reaching_live(recipe: str, overrides: tuple[str, ...]) -> list[str]:
    """Without overrides of `joint` where `joint.live` has values of its own."""

    def live(changes: list[str]) -> CodecRecipe:
        return load_recipe(recipe, tuple(changes), on_codec=True).codec.live

    every = list(overrides)
    return [
        change
        for place, change in enumerate(every)
        if not re.match(r"joint\.(?!live\.)", change) or live(every) != live(every[:place] + every[place + 1 :])
    ]


def _seeding(recipe: Recipe, stage: Stage, seed: int) -> tuple[str, ...]:
    """The override of a stage's seed; none where the recipe lacks its section, which the stage itself refuses."""
    section: Any = recipe.model_dump(mode="json")
    *sections, _ = _SEEDS[stage].split(".")
    if "joint" in sections:  # what it changes of the vocoder need not be there
        sections = sections[: sections.index("vocoder")]
    for name in sections:
        section = section.get(name) or {}
    return (f"{_SEEDS[stage]}={seed}",) if section else ()


def cpu_advice(plan: Plan, steps: int) -> str:
    """What to know before `steps` steps on a CPU; "" if they take hours at most: the paper's network takes about 0.7 s
    a step on two cores."""
    recipe = plan.recipe
    if plan.stage != "model" or not isinstance(network := recipe.codec.network, PaperNetworkConfig):
        return ""
    if network.channels < _LARGE or steps < _MANY:
        return ""
    rate = recipe.codec.train.temperature_rate * steps / _FIRST
    return (
        f"on a CPU {steps} steps of this network take days, about 0.7 s each on two cores; `overrides`"
        f" train.steps={_FIRST} and `overrides` train.temperature_rate={rate:.2g} give a first model in an hour"
    )


def stage_folder(run: Path, stage: Stage) -> Path:
    """Where a run keeps checkpoint and log of a stage."""
    return run / _FOLDERS[stage]


def made_after(run: Path, stage: Stage) -> list[Path]:
    """Folders of later stages, which came of what this stage had made so far."""
    folders = [stage_folder(run, later) for later in _LATER.get(stage, ())]
    return [folder for folder in folders if (folder / CHECKPOINT).exists() or (folder / MODEL).exists()]


def begun_recipe(folder: Path) -> Recipe | None:
    """The recipe that the training in `folder` had when it began or went on; None: there is none."""
    path = folder / _RECIPE
    return load_recipe(str(path)) if path.is_file() else None


def last_vocoder(run: Path) -> Path:
    """The vocoder file of a run: of the one that was tuned on the codec's output, where there is one."""
    tuned = stage_folder(run, "vocoder-on-codec") / VOCODER
    return tuned if tuned.is_file() else vocoder_file(run)


def refuse_second(folder: Path, *, resume: bool, remedy: str = "`folder` DIR") -> None:
    """Raises TrainingError: `folder` holds a training that is not to be resumed, or what one has made."""
    if resume:
        return
    if (folder / CHECKPOINT).is_file():
        raise TrainingError(
            f"{folder} holds a training already: add `resume` to go on with it, or {remedy} to start another"
        )
    if whole := [name for name in (MODEL, VOCODER) if _is_whole(folder / name)]:
        raise TrainingError(
            f"{folder} holds {whole[0]}, and no {CHECKPOINT} to go on from: move it elsewhere, or {remedy} to start"
            " another training"
        )


def _is_whole(path: Path) -> bool:
    """Whether a file is no training's first save, after which a crash left no checkpoint: no training began there, or
    the model has its tables, which are counted last."""
    if not path.is_file() or not path.with_name(_RECIPE).is_file():
        return path.is_file()
    try:
        return path.name == MODEL and read_header(path).tables is not None
    except ModelError:
        return False


def run_training(trainer: Trainer, recipe: Recipe, report: Report, progress: Progress | None) -> None:
    """Train to the end; the first rank writes recipe and log into the training's folder.

    Raises TrainingError: the loss is not finite, another process trains or has trained here, or asked to stop.
    """
    if not trainer.fabric.is_global_zero:
        trainer.run(None, report)
        return
    trainer.folder.mkdir(parents=True, exist_ok=True)
    with alone(trainer.folder, error=TrainingError):
        refuse_second(trainer.folder, resume=trainer.step > 0)  # another process may have trained here meanwhile
        text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
        write_text(trainer.folder / _RECIPE, text)
        log = TrainingLog(trainer.folder, keep_to=trainer.step)
        try:
            trainer.run(log, report, progress)
        finally:
            log.close()


def last_evaluation(folder: Path, figure: str) -> dict[str, Any]:
    """The last entry of the log with this figure. Raises TrainingError: there is none."""
    tested = [entry for entry in read_log(folder / "log.jsonl") if figure in entry]
    if not tested:
        raise TrainingError(f"{folder}: the log holds no evaluation; it was changed by hand or is of another training")
    return tested[-1]
