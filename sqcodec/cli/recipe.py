"""`sqcodec recipe`: list, show and copy recipes."""

import os
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
    from sqcodec.recipe.reading import read_recipe

    echo(read_recipe(name)[1], nl=False)


@recipe.command()
@click.argument("name")
@click.argument("folder", type=PATH)
def copy(name: str, folder: Path) -> None:
    """Copy the recipe NAME and its split lists to FOLDER, where you can change them; the copy has FOLDER's name.

    Example: sqcodec recipe copy vctk mine
    """
    from sqcodec.pipeline.paths import written_folder
    from sqcodec.recipe import available_recipes, load_recipe
    from sqcodec.recipe.reading import read_recipe

    found, text = read_recipe(name)
    source, shipped = found.parent, available_recipes()
    own = re.sub(r"[^A-Za-z0-9_.-]", "-", folder.resolve().name).strip("_.-")
    if not own:
        raise RecipeError(f"{folder}: is to name the recipe, expected a letter of a to z or a digit in it")
    if folder.exists():
        raise RecipeError(f"{folder}: exists already, expected a new folder; choose another name or remove it")
    if source in shipped.values():
        left = ("RESULTS.md", "__pycache__")
        files = [path for path in source.rglob("*") if path.is_file() and not {*left} & {*path.parts}]
    else:  # a folder of the user's may hold anything
        lists = getattr(load_recipe(str(found)).corpus, "splits", {}).values()
        if outside := [each for each in lists if Path(each).is_absolute() or ".." in Path(each).parts]:
            raise RecipeError(f"{found}: its list {outside[0]} lies in another folder, expected it beside the recipe")
        files = [source / each for each in lists]
        if lost := [file for file in files if not file.is_file()]:
            raise RecipeError(f"{found}: its list {lost[0]} is missing; expected it beside the recipe")
    with written_folder(folder) as draft:
        for file in (path for path in files if path != found):
            (draft / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, draft / file.relative_to(source))
        renamed = re.sub(r"^name: .*$", f'name: "{own}"', text, flags=re.MULTILINE)  # its data and runs are its own
        (draft / "recipe.yaml").write_text(renamed, "utf-8")
    shown = f".{os.sep}{folder}" if str(folder) in shipped else str(folder)  # the bare word is what ships
    echo(f"{folder / 'recipe.yaml'}: a copy of {name}; next: sqcodec prep {shlex.quote(shown)} --data CORPUS")


def _headline(path: Path) -> str:
    """The first comment line of a recipe."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
