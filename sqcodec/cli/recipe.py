"""`sqcodec recipe`: list, show and copy recipes."""

import re
import shlex
import shutil
from pathlib import Path

import click

from sqcodec.cli.options import PATH
from sqcodec.cli.wording import echo
from sqcodec.errors import RecipeError


@click.group()
def recipe() -> None:
    """List, show and copy recipes.

    Example: sqcodec recipe copy vctk mine && sqcodec train mine
    """


@recipe.command("list")
def list_() -> None:
    """List the recipes that come with sqcodec, each with its headline.

    Example: sqcodec recipe list
    """
    from sqcodec.recipe import available_recipes

    for name, folder in available_recipes().items():
        echo(f"{name:<16}{_headline(folder / 'recipe.yaml')}")


@recipe.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the recipe NAME (or the recipe in a folder or file).

    Example: sqcodec recipe show vctk
    """
    from sqcodec.recipe import find_recipe

    echo(find_recipe(name).read_text(encoding="utf-8"), nl=False)


@recipe.command()
@click.argument("name")
@click.argument("folder", type=PATH)
def copy(name: str, folder: Path) -> None:
    """Copy the recipe NAME and its split lists to FOLDER, where you can change them; the copy has FOLDER's name.

    Example: sqcodec recipe copy vctk mine
    """
    from sqcodec.recipe import available_recipes, find_recipe, load_recipe

    found = find_recipe(name)
    source = found.parent
    own = re.sub(r"[^A-Za-z0-9_.-]", "-", folder.resolve().name).strip("_.-")
    if not own:
        raise RecipeError(f"{folder}: is to name the recipe, expected a letter of a to z or a digit in it")
    if folder.exists():
        raise RecipeError(f"{folder}: exists already, expected a new folder; choose another name or remove it")
    if source in available_recipes().values():
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("RESULTS.md", "__pycache__"))
    else:  # a folder of the user's may hold anything
        lists = getattr(load_recipe(str(found)).corpus, "splits", {}).values()
        if outside := [each for each in lists if Path(each).is_absolute() or ".." in Path(each).parts]:
            raise RecipeError(f"{found}: its list {outside[0]} lies in another folder, expected it beside the recipe")
        folder.mkdir(parents=True)
        for each in (found, *(source / each for each in lists)):
            (folder / each.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(each, folder / each.relative_to(source))
    path = folder / found.name  # its data and runs are its own
    renamed = re.sub(r"^name: .*$", f'name: "{own}"', path.read_text("utf-8"), flags=re.MULTILINE)
    path.unlink()
    (folder / "recipe.yaml").write_text(renamed, "utf-8")
    echo(f"{folder / 'recipe.yaml'}: a copy of {name}; next: sqcodec prep {shlex.quote(str(folder))} --data CORPUS")


def _headline(path: Path) -> str:
    """The first comment line of a recipe."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
