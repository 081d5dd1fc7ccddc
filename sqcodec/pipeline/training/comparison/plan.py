"""The cells of a comparison: systems x seeds, and x the values of a key that is swept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from sqcodec.errors import RecipeError
from sqcodec.recipe import CodecRecipe, load_recipe, recipe_folders, validate_recipe
from sqcodec.recipe.quantizer_section import section_of

Target = Literal["mel", "mel-classes"]
_DEFINING = ("kind", "variance")  # keys of a quantiser by which systems differ
_SIZE = ("codewords", "dim")  # of the recipe's quantiser, for all systems
_STORED = ("corpus", "features")
_TRAINED = ("quantizer", "network", "train")  # sections that make a cell's model another one


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training: `recipe` is what it trains, `folder` where, relative to the comparison's.

    sweep: the key and value that differ from the recipe's, None outside of sweeps.
    """

    system: str
    seed: int
    sweep: tuple[str, float | str] | None
    recipe: CodecRecipe
    folder: Path

    @property
    def name(self) -> str:
        """Its name in progress messages and tables."""
        return str(self.folder)


def plan(
    recipe: str,
    *,
    systems: Sequence[str],
    seeds: Sequence[int],
    overrides: tuple[str, ...] = (),
    sweeps: Sequence[tuple[str, Sequence[str]]] = (),
    target: Target = "mel",
) -> list[Cell]:
    """Every cell of a comparison; systems: names of `recipes/systems.yaml`, all of `target` if none is named.

    overrides: one of `quantizer` changes the systems that have its key. sweeps: each a key and its values; the cells of
    a sweep take the place of the plain ones. Raises RecipeError: an unknown system, one of another target, a wrong
    recipe, override or swept value, values of a sweep that are the same, or an override that no system could take.
    """
    for key, _ in sweeps:
        _check_key(key)
    known = read_systems()
    chosen = _chosen(systems, known, target)
    own = _of_systems(overrides, [section_of(known[system]["quantizer"]["kind"]) for system in chosen])
    overrides = tuple(text for text in overrides if text not in own)
    base = load_recipe(recipe, overrides).codec
    variants: list[tuple[str, str] | None] = [(key, value) for key, values in sweeps for value in values]
    try:
        cells = [
            _cell(recipe, overrides, own, base, system, known[system], seed, variant)
            for variant in variants or [None]
            for system in chosen
            for seed in seeds
        ]
    except RecipeError:
        _check_fit(base, {system: known[system] for system in chosen})
        raise
    cells = list({cell.folder: cell for cell in cells}.values())
    _check_values(cells)
    return cells


def system_names(target: Target) -> list[str]:
    """The systems that decode to `target`, in the order of `recipes/systems.yaml`."""
    return [name for name, sections in read_systems().items() if sections["target"]["kind"] == target]


def read_systems() -> dict[str, dict[str, Any]]:
    """Name -> sections `quantizer` and `target` of each system that comes with sqcodec."""
    path = next(folder / "systems.yaml" for folder in recipe_folders() if (folder / "systems.yaml").is_file())
    systems: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return systems


def _chosen(systems: Sequence[str], known: dict[str, dict[str, Any]], target: Target) -> list[str]:
    fitting = system_names(target)
    if unknown := [name for name in systems if name not in known]:
        raise RecipeError(f"`systems`: got {', '.join(unknown)}, expected some of: {', '.join(known)}")
    if other := [name for name in systems if name not in fitting]:
        kind = known[other[0]]["target"]["kind"]
        raise RecipeError(
            f"`systems`: {', '.join(other)} decode to {kind}, the comparison is of {target}; use `target` {kind}"
        )
    return list(systems) or fitting


def _check_key(key: str) -> None:
    """Raise RecipeError: a sweep of this key would train equal models, or what cells are told apart by."""
    section, _, name = key.partition(".")
    if section in _STORED:
        raise RecipeError(f"sweep of {key}: every cell takes one store as it is; prepare others and compare in each")
    if key in ("name", "train.seed") or section == "target" or (section == "quantizer" and name in ("", *_DEFINING)):
        raise RecipeError(f"sweep of {key}: it is what cells are told apart by; give `systems` or `seeds` instead")
    if section not in _TRAINED:
        raise RecipeError(
            f"sweep of {key}: every value would train the same model; expected a key of the sections"
            f" {', '.join(_TRAINED[:-1])} and {_TRAINED[-1]}"
        )


def _check_values(cells: Sequence[Cell]) -> None:
    """Raise RecipeError: two values of a sweep are written otherwise, but train the same model."""
    written: dict[tuple[str, str, str], str] = {}
    for cell in cells:
        if cell.sweep:
            key, _, value = cell.folder.parts[1].partition("=")
            first = written.setdefault((cell.system, key, cell.recipe.model_dump_json()), value)
            if first != value:
                raise RecipeError(f"sweep of {key}: {first} and {value} are the same value; leave one out")


def _check_fit(base: CodecRecipe, systems: dict[str, dict[str, Any]]) -> None:
    """Raise RecipeError: some of the systems do not fit the recipe's other sections."""
    unfit = {name: reason for name, sections in systems.items() if (reason := _misfit(base, name, sections))}
    if not unfit:
        return
    others = ",".join(name for name in systems if name not in unfit)
    advice = f"; leave out what does not fit: `systems` {others}" if others else "; choose others with `systems`"
    reasons = "; ".join(f"{name} does not fit it ({reason})" for name, reason in unfit.items())
    raise RecipeError(f"recipe {base.name}: {reasons}{advice}")


def _misfit(base: CodecRecipe, system: str, sections: dict[str, Any]) -> str | None:
    """Why the recipe cannot have this system, or None."""
    try:
        validate_recipe(base.model_dump(mode="json") | _sections(base, sections), where=system)
    except RecipeError as error:
        return "; ".join(line.strip().removeprefix("recipe: ") for line in str(error).splitlines()[1:])
    return None


def _sections(base: CodecRecipe, sections: dict[str, Any]) -> dict[str, Any]:
    """A system's sections with the size of the recipe's codebook."""
    fields = section_of(sections["quantizer"]["kind"]).model_fields
    size = {key: getattr(base.quantizer, key) for key in _SIZE if key in fields}
    return {"quantizer": sections["quantizer"] | size, "target": sections["target"]}


def _of_systems(overrides: Sequence[str], sections: Sequence[type[BaseModel]]) -> tuple[str, ...]:
    """The overrides of `quantizer` that take the place of a system's value, rather than of the recipe's."""
    own = []
    for text in overrides:
        section, _, key = text.partition("=")[0].partition(".")
        if (section, key) == ("train", "seed"):
            raise RecipeError(f"override {text}: each training has one of `seeds`; give those instead")
        if section not in ("quantizer", "target"):
            continue
        if section == "target" or not key or key in _DEFINING:
            raise RecipeError(f"override {text}: each system has its own {section}; choose among systems instead")
        if key in _SIZE:
            continue
        if not any(key in fields.model_fields for fields in sections):
            raise RecipeError(f"override {text}: none of these systems has the key {section}.{key}")
        own.append(text)
    return tuple(own)


def _cell(
    recipe: str,
    overrides: tuple[str, ...],
    own: tuple[str, ...],
    base: CodecRecipe,
    system: str,
    sections: dict[str, Any],
    seed: int,
    variant: tuple[str, str] | None,
) -> Cell:
    fields = section_of(sections["quantizer"]["kind"]).model_fields
    swept = [f"{variant[0]}={variant[1]}"] if variant else []
    cells = (
        *(f"{name}={json.dumps(section)}" for name, section in _sections(base, sections).items()),
        f"train.seed={seed}",
    )
    changes = (
        *(text for text in overrides if not text.startswith("quantizer")),
        *(text for text in own if text.partition("=")[0].removeprefix("quantizer.") in fields),
        *swept,
    )
    sweep = (variant[0], _number(variant[1])) if variant else None
    if variant and variant[0].startswith("quantizer.") and variant[0].removeprefix("quantizer.") not in fields:
        raise RecipeError(f"sweep of {variant[0]}: {system} has no such key; leave it out of `systems`")
    made = load_recipe(recipe, changes, before=cells).codec
    return Cell(system=system, seed=seed, sweep=sweep, recipe=made, folder=Path(system, *swept, f"seed{seed}"))


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
