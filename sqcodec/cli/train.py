"""`sqcodec train`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sqcodec.cli.checks import check_recipe
from sqcodec.cli.options import PATH, device_option, set_option
from sqcodec.cli.progress import ShowProgress, progress_bar
from sqcodec.cli.wording import echo, with_options

if TYPE_CHECKING:
    from sqcodec.pipeline.training.run_folder import Plan, Stage
    from sqcodec.pipeline.training.train_vocoder import TrainedVocoder


@click.command()
@click.argument("recipe")
@click.option("--features", type=PATH, help="Feature store [default: data/NAME of the recipe].")
@click.option("--out", type=PATH, help="Run folder [default: runs/NAME of the recipe].")
@set_option
@click.option("--seed", type=click.IntRange(min=0), help="Random seed: --set train.seed=N, or that of the stage.")
@device_option
@click.option(
    "--stage",
    type=click.Choice(["model", "vocoder", "joint", "live", "contrast", "prior", "context"]),
    default="model",
    show_default=True,
)
@click.option("--on", type=click.Choice(["codec"]), help="Fine-tune the vocoder on the output of the run's model.")
@click.option("--from", "start", type=PATH, help="Run of the vocoder to start from [default: this run].")
@click.option("--compile", "compiled", is_flag=True, help="Compile the networks with torch.compile.")
@click.option("--resume", is_flag=True, help="Continue the training in the run folder.")
def train(
    recipe: str,
    features: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str,
    stage: Literal["model", "vocoder", "joint", "live", "contrast", "prior", "context"],
    on: str | None,
    start: Path | None,
    compiled: bool,
    resume: bool,
) -> None:
    """Train a part of RECIPE, a folder or a recipe that comes with sqcodec: model, vocoder, prior, context model.

    --stage joint: decoder and vocoder together, on the model's codes; --stage live: then with less look-ahead. --stage
    contrast: a vocoder that gives back fine structure which the decoder smooths away, in seconds; last of all.

    \b
    Example: sqcodec train recipes/vctk --set train.steps=1000
             sqcodec train recipes/istft --stage vocoder
             sqcodec train recipes/vctk --stage prior
             sqcodec train recipes/vctk --stage context
             torchrun --nproc-per-node 4 --no-python sqcodec train recipes/vctk
    Ctrl-C saves the state. --resume continues with the saved recipe, step for step as without interruption.
    """
    if on and stage != "vocoder":
        raise click.UsageError("--on codec needs --stage vocoder.")
    if start and not on and stage not in ("joint", "live"):
        raise click.UsageError("--from needs --on codec, --stage joint or --stage live.")
    if compiled and stage != "model":
        raise click.UsageError("--compile needs --stage model.")
    if stage == "contrast" and (seed is not None or resume):
        raise click.UsageError("--stage contrast trains nothing, it only measures; leave out --seed and --resume.")
    check_recipe(recipe)
    from sqcodec.pipeline.training.run_folder import begin

    trained: Stage = "vocoder-on-codec" if on else stage
    plan = begin(recipe, overrides, stage=trained, features=features, out=out, seed=seed, resume=resume)
    if stage == "contrast":
        _give_contrast(plan, device=device)
        return
    with progress_bar(quiet=not _is_first_process()) as show:
        progress = _Progress(plan, device, show)
        if stage == "vocoder":
            end = _train_vocoder(plan, device=device, start=start, progress=progress)
        elif stage in ("joint", "live"):
            end = _train_joint(plan, device=device, start=start, progress=progress)
        elif stage == "prior":
            end = _train_prior(plan, device=device, progress=progress)
        elif stage == "context":
            end = _train_context(plan, device=device, progress=progress)
        else:
            end = _train_model(plan, device=device, compiled=compiled, progress=progress)
    for line in end:
        echo(line)


class _Progress:
    """Prints what begins and where before the first step, then shows the steps."""

    def __init__(self, plan: "Plan", device: str, show: ShowProgress) -> None:
        self._plan, self._device, self._show, self._begun = plan, device, show, False

    def __call__(self, step: int, steps: int) -> None:
        if not self._begun and step < steps and _is_first_process():
            self._begin(step, steps)
        self._begun = True
        self._show("step", step, steps)

    def finding(self, done: int, total: int) -> None:
        """Of utterances whose codes are found, before the first step."""
        self._show("codes of utterances", done, total)

    def _begin(self, step: int, steps: int) -> None:
        from sqcodec.pipeline.device import find_device
        from sqcodec.pipeline.training.run_folder import cpu_advice, made_after

        device, plan = find_device(self._device), self._plan
        echo(f"{plan.folder}: steps {step + 1} to {steps} on {device}, features {plan.features}", err=True)
        if later := made_after(plan.run, plan.stage):
            listed = " and ".join(map(str, later))
            echo(f"{listed} came of what was made before; remove that, and train it anew after this", err=True)
        if device.type == "cpu" and (advice := cpu_advice(plan, steps - step)):
            echo(with_options(advice), err=True)


def _is_first_process() -> bool:
    """Whether this process is the one that reports: of those that torchrun started, the first."""
    return os.environ.get("RANK", "0") == "0"


def _train_model(plan: "Plan", *, device: str, compiled: bool, progress: "_Progress") -> list[str]:
    from sqcodec.pipeline.training.train_codec import train as train_codec

    recipe = plan.recipe.codec
    trained = train_codec(
        recipe,
        plan.features,
        plan.folder,
        device=device,
        resume=plan.resume,
        progress=progress,
        report=lambda entry: _echo_model(entry, recipe.train.steps),
        compiled=compiled,
    )
    if trained is None:  # this process is not rank 0
        return []
    codes = "no codes" if trained.test_perplexity is None else f"perplexity {trained.test_perplexity:.1f}"
    found_by_itself = trained.folder.parent == Path("runs") and trained.test_perplexity is not None
    model = "" if found_by_itself else f" --model {trained.folder}"
    return [
        f"{trained.folder}: step {trained.step}, test MSE {trained.test_mse:.2f}, {codes}",
        f"Pictures: {trained.folder / 'curves.png'}, {trained.folder / 'spectrograms.png'}",
        f"Next: sqcodec encode in.wav out.sqc{model}",
    ]


def _train_vocoder(plan: "Plan", *, device: str, start: Path | None, progress: "_Progress") -> list[str]:
    from sqcodec.pipeline.training import train_vocoder as stage

    trained = stage.train_vocoder(
        plan.recipe,
        plan.features,
        plan.folder,
        device=device,
        resume=plan.resume,
        progress=progress,
        report=_echo_vocoder,
        tuning=stage.fine_tuning(plan.run, start, plan.stage) if plan.stage == "vocoder-on-codec" else None,
    )
    return _vocoder_end(trained, f"vocode in.wav out.wav --vocoder {trained.folder}")


def _train_joint(plan: "Plan", *, device: str, start: Path | None, progress: "_Progress") -> list[str]:
    from sqcodec.pipeline.training.train_joint import train_joint
    from sqcodec.pipeline.training.train_vocoder import fine_tuning

    trained = train_joint(
        plan.recipe.codec,
        plan.features,
        plan.folder,
        tuning=fine_tuning(plan.run, start, plan.stage),
        device=device,
        resume=plan.resume,
        progress=progress,
        finding=progress.finding,
        report=_echo_vocoder,
    )
    return _vocoder_end(trained, f"encode in.wav out.sqc --model {trained.folder}")


def _vocoder_end(trained: "TrainedVocoder", following: str) -> list[str]:
    metrics = "".join(f", {name.replace('_', ' ')} {value:.2f}" for name, value in trained.figures.items())
    return [f"{trained.folder}: step {trained.step}{metrics}", f"Next: sqcodec {following}"]


def _give_contrast(plan: "Plan", *, device: str) -> None:
    from sqcodec.pipeline.training.give_contrast import give_contrast

    folder = give_contrast(plan.recipe.codec, plan.features, plan.run, device=device)
    echo(f"{folder}: the model of {plan.run} and its vocoder with contrast {plan.recipe.codec.contrast:g}")
    echo(f"Next: sqcodec decode in.sqc out.wav --model {folder}")


def _train_prior(plan: "Plan", *, device: str, progress: "_Progress") -> list[str]:
    from sqcodec.pipeline.training.train_prior import train_prior_of

    recipe = plan.recipe.codec
    trained = train_prior_of(
        recipe,
        plan.features,
        plan.run,
        device=device,
        resume=plan.resume,
        progress=progress,
        report=lambda entry: _echo_prior(entry, recipe.prior.steps if recipe.prior else 0),
    )
    orders = ", ".join(f"order {order} {bits:.2f}" for order, bits in enumerate(trained.orders))
    return [
        f"{trained.path}: {trained.bits:.2f} bits per code on test; tables: {orders}",
        f"Next: sqcodec generate OUT_DIR --model {plan.run}",
    ]


def _train_context(plan: "Plan", *, device: str, progress: "_Progress") -> list[str]:
    from sqcodec.pipeline.training.train_context import train_context

    recipe = plan.recipe.codec

    def report(entry: dict[str, Any]) -> None:
        searched = entry.get("test_bits_searched")
        context = recipe.context if searched is None or recipe.context is None else recipe.context.on_searched
        codes = "" if searched is None else f", of searched codes {searched:.2f}"
        echo(
            f"step {entry['step']}/{context.steps if context else 0}: {entry['bits']:.2f} bits per symbol,"
            f" {entry['test_bits']:.2f} per frame on test{codes}",
            err=True,
        )

    trained = train_context(
        recipe,
        plan.features,
        plan.run,
        device=device,
        resume=plan.resume,
        progress=progress,
        finding=progress.finding,
        report=report,
    )
    tables = "" if trained.by_tables is None else f", {trained.by_tables:.2f} by the tables"
    worse = trained.bits >= min(trained.by_tables or trained.fixed, trained.fixed)
    note = "Note: it learned too little, files are smaller without it"
    if trained.replaceable:
        note += f"; remove {trained.path} and {plan.folder}, and 'sqcodec train' with --resume writes the former anew"
    return [
        f"{trained.path}: {trained.bits:.2f} bits per code on test{tables}, {trained.fixed:.0f} at fixed width",
        *([note] if worse else []),
        f"Next: sqcodec encode in.wav out.sqc --model {plan.run}",
    ]


def _echo_prior(entry: dict[str, Any], steps: int) -> None:
    echo(f"step {entry['step']}/{steps}: {entry['bits']:.2f} bits per code, {entry['test_bits']:.2f} on test", err=True)


def _echo_vocoder(entry: dict[str, Any]) -> None:
    values = [f"{name.replace('_', ' ')} {value:.3f}" for name, value in entry.items() if isinstance(value, float)]
    echo(f"step {entry['step']}: {', '.join(values)}", err=True)
    for family in entry.get("collapsed", ()):
        echo(
            f"step {entry['step']}: the discriminators by {family} have collapsed: with a loss of {entry[family]:.4f}"
            " they separate all recordings from synthesised sound and give no"
            " gradient; lower vocoder.discriminators.learning_rate",
            err=True,
        )


def _echo_model(entry: dict[str, Any], steps: int) -> None:
    if not {"loss", "test_mse"} & entry.keys():  # a short epoch: only the log gets its perplexity
        return
    shown = {
        "loss": "loss",
        "mse": "MSE",
        "posterior_entropy": "entropy",
        "log_var": "log var",
        "epoch_perplexity": "epoch perplexity",
        "test_mse": "test MSE",
        "test_perplexity": "test perplexity",
    }
    values = [f"{title} {entry[name]:.2f}" for name, title in shown.items() if name in entry]
    echo(f"step {entry['step']}/{steps}: {', '.join(values)}", err=True)
