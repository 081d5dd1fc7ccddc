"""How a recipe is found, read, overridden and validated."""

import difflib
from pathlib import Path
from reprlib import Repr
from typing import Any

from pydantic import ValidationError

from sqcodec.errors import RecipeError
from sqcodec.recipe.document import CODEC_KEYS, CODEC_SECTIONS, CodecRecipe, Recipe, VocoderRecipe
from sqcodec.recipe.overrides import changed_on_codec, merged, override_, resumed_on_codec
from sqcodec.recipe.plain_yaml import parse
from sqcodec.recipe.vocoder_section import IstftConfig


def recipe_folders() -> list[Path]:
    """Where recipes that come with sqcodec lie: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return [folder for folder in (package / "recipes", package.parent / "recipes") if folder.is_dir()]


def available_recipes() -> dict[str, Path]:
    """Name -> folder of each recipe that comes with sqcodec."""
    return {
        path.parent.name: path.parent for folder in recipe_folders() for path in sorted(folder.glob("*/recipe.yaml"))
    }


def find_recipe(name: str) -> Path:
    """The `recipe.yaml` of a folder, a file, or a recipe that comes with sqcodec (`vctk` or `recipes/vctk`).

    Raises RecipeError: nothing of that name; the text lists what there is.
    """
    path = Path(name)
    bare = name == path.name  # neither `./vctk` nor `vctk/`
    shipped = available_recipes().get(path.name if bare or path.parent == Path("recipes") else "")
    # A folder given with its path comes before a shipped recipe of the same name; a bare word means the shipped one.
    local = [path / "recipe.yaml", path] if not bare or path.suffix in (".yaml", ".yml") else []
    for candidate in [*local, shipped / "recipe.yaml" if shipped else path / "recipe.yaml"]:
        if candidate.is_file():
            return candidate
    raise RecipeError(
        f"recipe {name!r}: no such folder or file, and no recipe of that name comes with sqcodec;"
        f" there are: {', '.join(available_recipes()) or 'none'}. 'sqcodec recipe list' describes them"
    )


def read_recipe(name: str) -> tuple[Path, str]:
    """The path that `find_recipe` finds, and its text. Raises RecipeError: none, or no text."""
    path = find_recipe(name)
    try:
        return path, path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path}: not a YAML file: {error}") from error


def load_recipe(
    name: str, overrides: tuple[str, ...] = (), *, on_codec: bool = False, before: tuple[str, ...] = ()
) -> Recipe:
    """Read, override (`key.path=value`, the value in YAML) and validate a recipe.

    on_codec: with what the recipe's `vocoder.on_codec` changes; overrides come before it. before: overrides that come
    before all others and that no user gave, so no error names them.
    Raises RecipeError: not found, not YAML, or any number of keys that are unknown, missing or mistyped, all named.
    """
    path, text = read_recipe(name)
    try:
        tree = parse(text)
    except RecipeError as error:
        raise RecipeError(f"{path}: not a YAML file: {error}") from error
    if not isinstance(tree, dict):
        raise RecipeError(f"{path}: got {type(tree).__name__}, expected a mapping of sections (name, corpus, ...)")
    overrides = resumed_on_codec(tree, overrides) if on_codec else overrides
    for override in (*before, *overrides):
        override_(tree, override)
    where = f"{path}{' with' if overrides else ''}" + "".join(f" `overrides` {override}" for override in overrides)
    recipe = validate_recipe(tree, where=where)
    tuned, changed = recipe, tree
    if recipe.vocoder is not None and recipe.vocoder.kind != "griffin-lim" and recipe.vocoder.on_codec is not None:
        changed = changed_on_codec(tree, overrides)
        tuned = validate_recipe(changed, where=f"{where}, as vocoder.on_codec changes it")
    if isinstance(recipe, CodecRecipe) and recipe.joint and isinstance(recipe.vocoder, IstftConfig):
        joint = {**changed, "vocoder": merged(changed["vocoder"], recipe.joint.vocoder)}
        validate_recipe(joint, where=f"{where}, as joint.vocoder changes it")
        if recipe.joint.live:
            live = {**joint, "vocoder": merged(joint["vocoder"], recipe.joint.live.vocoder)}
            validate_recipe(live, where=f"{where}, as joint.live.vocoder changes it")
    return tuned if on_codec else recipe


def validate_recipe(tree: Any, *, where: str) -> Recipe:
    """A tree of plain values -> Recipe. Raises RecipeError naming every wrong key at once, 50 at most."""
    codec = isinstance(tree, dict) and not CODEC_KEYS.isdisjoint(tree)
    try:
        return (CodecRecipe if codec else VocoderRecipe).model_validate(tree)
    except ValidationError as error:
        items = error.errors(include_url=False)
        missing = [_parts(item) for item in items if item["type"] == "missing"]
        unknown = [_parts(item) for item in items if item["type"] == "extra_forbidden"]
        lines = [_explain(item, tree, missing, unknown) for item in items[:_LISTED]]
        more = [f"and {len(items) - _LISTED} more"] if len(items) > _LISTED else []
        raise RecipeError("\n  ".join([f"{where}: {len(items)} error(s)", *lines, *more])) from None


_LISTED = 50  # errors of one recipe
_SHORT = Repr()  # of a value in an error
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong, _SHORT.maxlevel = 80, 80, 40, 3


def _parts(item: Any) -> list[str]:
    """The key of an error. pydantic puts the tag of a union into it: corpus.vctk.microphone -> corpus.microphone."""
    parts = [str(part) for part in item["loc"]]
    if (
        len(parts) > 1
        and parts[0] in ("corpus", "quantizer", "target", "network", "vocoder")
        and item["type"] != "union_tag_invalid"
    ):
        del parts[1]
    return parts


def _explain(item: Any, tree: Any, missing: list[list[str]], unknown: list[list[str]]) -> str:
    """A line on an error. missing, unknown: keys that the recipe lacks, and that it should not have."""
    parts = _parts(item)
    key = ".".join(parts) or "recipe"
    match item["type"]:
        case "missing" if key in CODEC_SECTIONS:
            return f"{key}: missing; a codec has the sections {', '.join(CODEC_SECTIONS)}: add it, or have none of them"
        case "missing" if key == "vocoder":
            return f"{key}: missing; a recipe has a vocoder, a codec ({', '.join(CODEC_SECTIONS)}), or both"
        case "missing":
            return f"{key}: missing"
        case "extra_forbidden":
            return f"{key}: unknown key (got {_SHORT.repr(item['input'])}); {_advice(parts, tree, missing, unknown)}"
        case _:
            got = f", got {_SHORT.repr(item['input'])}" if not isinstance(item["input"], dict) else ""
            return f"{key}: {item['msg'].removeprefix('Value error, ')}{got}"


def _advice(parts: list[str], tree: Any, missing: list[list[str]], unknown: list[list[str]]) -> str:
    """What may have been meant by an unknown key: another one of its section, or one that is missing there."""
    *sections, key = parts
    for section in sections:
        tree = tree.get(section) if isinstance(tree, dict) else None
    beside = [str(name) for name in tree if [*sections, name] not in unknown] if isinstance(tree, dict) else []
    known = {*beside, *(lost[-1] for lost in missing if lost[:-1] == sections)}
    near = difflib.get_close_matches(key, sorted(known), n=1)
    return f"did you mean {'.'.join([*sections, near[0]])}?" if near else "remove it"
