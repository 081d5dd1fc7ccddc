"""`sqcodec train`."""

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("recipe")
@click.option("--features", type=click.Path(path_type=Path), help="Feature store [default: data/NAME of the recipe].")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [default: runs/NAME of the recipe].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the recipe.")
@click.option("--seed", type=click.IntRange(min=0), help="The same as --set train.seed=N.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--resume", is_flag=True, help="Go on with the training in the run folder.")
def train(
    recipe: str,
    features: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str,
    resume: bool,
) -> None:
    """Train the model of RECIPE (a folder, or the name of a recipe that comes with sqcodec).

    \b
    Example: sqcodec train recipes/vctk --set train.steps=1000
    Ctrl-C saves; --resume goes on with the recipe as it was begun, step for step as if nothing had happened.
    """
    from sqcodec import recipe as recipes
    from sqcodec.pipeline import training

    changes = (*overrides, f"train.seed={seed}") if seed is not None else overrides
    folder = out or Path("runs") / recipes.load_recipe(recipe).name
    begun = folder / "recipe.yaml"  # what a training began with, overrides included, is what it goes on with
    chosen = recipes.load_recipe(str(begun) if resume and begun.is_file() else recipe, changes)
    done = training.train(
        chosen,
        features or Path("data") / chosen.name,
        folder,
        device=device,
        resume=resume,
        report=lambda entry: _tell(entry, chosen.train.steps),
    )
    codes = "no codes" if done.test_perplexity is None else f"perplexity {done.test_perplexity:.1f}"
    click.echo(f"{done.folder}: step {done.step}, test MSE {done.test_mse:.2f}, {codes}")
    click.echo(f"Pictures: {done.folder / 'curves.png'}, {done.folder / 'spectrograms.png'}")
    click.echo(f"Next: sqcodec encode in.wav codes.npy --model {done.folder}")


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
