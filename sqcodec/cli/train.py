"""`sqcodec train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sqcodec.cli.options import PATH, device_option, set_option

if TYPE_CHECKING:
    from sqcodec.pipeline.training.run_folder import Plan, Stage


@click.command()
@click.argument("recipe")
@click.option("--features", type=PATH, help="Feature store [default: data/NAME of the recipe].")
@click.option("--out", type=PATH, help="Run folder [default: runs/NAME of the recipe].")
@set_option
@click.option(
    "--seed", type=click.IntRange(min=0), help="The same as --set train.seed=N (vocoder.train.seed, prior.seed)."
)
@device_option
@click.option("--stage", type=click.Choice(["model", "vocoder", "prior"]), default="model", show_default=True)
@click.option("--on", type=click.Choice(["codec"]), help="Fine-tune the vocoder on what the run's model returns.")
@click.option("--from", "start", type=PATH, help="Run whose vocoder --on starts from [default: own].")
@click.option("--compile", "compiled", is_flag=True, help="Let torch.compile make programs of the networks.")
@click.option("--resume", is_flag=True, help="Go on with the training in the run folder.")
def train(
    recipe: str,
    features: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str,
    stage: Literal["model", "vocoder", "prior"],
    on: str | None,
    start: Path | None,
    compiled: bool,
    resume: bool,
) -> None:
    """Train the model of RECIPE (a folder, or the name of a recipe that comes with sqcodec), its vocoder, or its prior.

    \b
    Example: sqcodec train recipes/vctk --set train.steps=1000
             sqcodec train recipes/istft --stage vocoder
             sqcodec train recipes/vctk --stage prior
             torchrun --nproc-per-node 4 --no-python sqcodec train recipes/vctk
    Ctrl-C saves; --resume goes on with the recipe as it was begun, step for step as if nothing had happened.
    """
    if on and stage != "vocoder":
        raise click.UsageError("--on codec is for --stage vocoder.")
    if start and not on:
        raise click.UsageError("--from is for --on codec.")
    if compiled and stage != "model":
        raise click.UsageError("--compile is for --stage model.")
    from sqcodec.pipeline.training.run_folder import begin

    named: Stage = "vocoder-on-codec" if on else stage
    plan = begin(recipe, overrides, stage=named, features=features, out=out, seed=seed, resume=resume)
    if stage == "vocoder":
        _train_vocoder(plan, device=device, start=start)
    elif stage == "prior":
        _train_prior(plan, device=device)
    else:
        _train_model(plan, device=device, compiled=compiled)


def _train_model(plan: "Plan", *, device: str, compiled: bool) -> None:
    from sqcodec.pipeline.training.train_codec import train as train_codec

    recipe = plan.recipe.codec
    done = train_codec(
        recipe,
        plan.features,
        plan.folder,
        device=device,
        resume=plan.resume,
        report=lambda entry: _tell(entry, recipe.train.steps),
        compiled=compiled,
    )
    if done is None:  # one of several processes, and not the first
        return
    codes = "no codes" if done.test_perplexity is None else f"perplexity {done.test_perplexity:.1f}"
    click.echo(f"{done.folder}: step {done.step}, test MSE {done.test_mse:.2f}, {codes}")
    click.echo(f"Pictures: {done.folder / 'curves.png'}, {done.folder / 'spectrograms.png'}")
    click.echo(f"Next: sqcodec encode in.wav out.sqc --model {done.folder}")


def _train_vocoder(plan: "Plan", *, device: str, start: Path | None) -> None:
    from sqcodec.pipeline.training import train_vocoder as stage

    done = stage.train_vocoder(
        plan.recipe,
        plan.features,
        plan.folder,
        device=device,
        resume=plan.resume,
        report=_tell_vocoder,
        tuning=stage.fine_tuning(plan.run, start) if plan.stage == "vocoder-on-codec" else None,
    )
    figures = "".join(f", {name.replace('_', ' ')} {value:.2f}" for name, value in done.figures.items())
    click.echo(f"{done.folder}: step {done.step}{figures}")
    click.echo(f"Next: sqcodec vocode in.wav out.wav --vocoder {done.folder}")


def _train_prior(plan: "Plan", *, device: str) -> None:
    from sqcodec.pipeline.training.train_prior import train_prior_of

    recipe = plan.recipe.codec
    done = train_prior_of(
        recipe,
        plan.features,
        plan.run,
        device=device,
        resume=plan.resume,
        report=lambda entry: _tell_prior(entry, recipe.prior.steps if recipe.prior else 0),
    )
    orders = ", ".join(f"order {order} {bits:.2f}" for order, bits in enumerate(done.orders))
    click.echo(f"{done.path}: {done.bits:.2f} bits a code on test; tables: {orders}")
    click.echo(f"Next: sqcodec generate OUT_DIR --model {plan.run}")


def _tell_prior(entry: dict[str, Any], steps: int) -> None:
    click.echo(
        f"step {entry['step']}/{steps}: {entry['bits']:.2f} bits a code, {entry['test_bits']:.2f} on test", err=True
    )


def _tell_vocoder(entry: dict[str, Any]) -> None:
    values = [f"{name.replace('_', ' ')} {value:.3f}" for name, value in entry.items() if isinstance(value, float)]
    click.echo(f"step {entry['step']}: {', '.join(values)}", err=True)
    for family in entry.get("collapsed", ()):
        click.echo(
            f"step {entry['step']}: the discriminators by {family} have collapsed: with a loss of {entry[family]:.4f}"
            " they tell every sound apart and teach nothing; lower vocoder.discriminators.learning_rate",
            err=True,
        )


def _tell(entry: dict[str, Any], steps: int) -> None:
    if not {"loss", "test_mse"} & entry.keys():  # a short epoch: its perplexity goes to the log alone
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
    click.echo(f"step {entry['step']}/{steps}: {', '.join(values)}", err=True)
