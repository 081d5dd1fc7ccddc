"""Changes of a recipe's values before it is validated: `key.path=value`, and what a second training changes."""

import difflib
import warnings
from copy import deepcopy
from typing import Any

from sqcodec.errors import RecipeError
from sqcodec.recipe.plain_yaml import parse
from sqcodec.recipe.quantizer_section import FORMER_KEYS, current_keys

_ON_CODEC = "vocoder.on_codec."
_CHANGES = (_ON_CODEC, "joint.vocoder.", "joint.live.vocoder.")  # of other sections: what they leave out stays as it is


def override_(tree: dict[str, Any], override: str) -> None:
    """Set one value of a recipe's tree. Raises RecipeError: not `section.key=value`, no such section, or no YAML."""
    key, sep, text = override.partition("=")
    *sections, last = key.split(".")
    node: Any = tree
    if sections == ["quantizer"] and isinstance(tree.get("quantizer"), dict):
        tree["quantizer"] = current_keys(tree["quantizer"])  # the file may have the former key, and --set today's
        last = _current_key(last, tree["quantizer"])
    for index, section in enumerate(sections):
        if not isinstance(node, dict):
            break
        keys = list(map(str, node))
        near = [] if section in keys else difflib.get_close_matches(section, keys, n=1)
        if sep and near:
            meant = ".".join([*sections[:index], near[0], *sections[index + 1 :], last])
            raise RecipeError(f"`overrides` {override}: no section {section!r}; did you mean {meant}?")
        if section not in keys and f"{'.'.join(sections[:index])}.".startswith(_CHANGES):
            node[section] = {}
        node = node.get(section)
        if sep and last and node is None and len(sections) > 1:
            whole, value = ".".join(sections[: index + 1]), text
            for name in [last, *sections[:index:-1]]:
                value = f"{{{name}: {value}}}"
            raise RecipeError(f"`overrides` {override}: {whole} is not set; set it whole: {whole}={value}")
    if sep and last and len(sections) == 1 and node is None:
        raise RecipeError(f"`overrides` {override}: the recipe has no section {sections[0]!r}")
    if not sep or not isinstance(node, dict) or not last:
        raise RecipeError(f"`overrides` {override}: expected section.key=value, such as `overrides` train.steps=1000")
    try:
        node[last] = _parse_value(text)
    except RecipeError as error:
        raise RecipeError(f"`overrides` {override[:200]}: the value is not YAML: {error}") from error


def _current_key(key: str, section: dict[str, Any]) -> str:
    """A key of the section `quantizer` under today's name, with a warning where that is another one."""
    name = FORMER_KEYS.get(key, key)
    if section.get("kind") != "residual" or name == key:
        return key
    text = f"quantizer.{key} is now quantizer.{name}; the former name works for one release"
    warnings.warn(text, FutureWarning, stacklevel=2)
    return name


def _parse_value(text: str) -> Any:
    value = parse(text)
    if isinstance(value, str):  # YAML 1.1 reads 4e-4 as text
        try:
            return float(value)
        except ValueError:
            return value
    return value


def resumed_on_codec(tree: dict[str, Any], overrides: tuple[str, ...]) -> tuple[str, ...]:
    """The overrides for a recipe that `vocoder.on_codec` has changed already, as a run folder holds it: its own values
    are those of the vocoder now."""
    vocoder = tree.get("vocoder")
    if not isinstance(vocoder, dict) or vocoder.get("on_codec") is not None:
        return overrides
    own = [override for override in overrides if override.startswith(_ON_CODEC)]
    others = [override for override in overrides if not override.startswith(_ON_CODEC)]
    return (*others, *(override.replace(_ON_CODEC, "vocoder.", 1) for override in own))


def changed_on_codec(tree: dict[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    """The tree with the changes of `vocoder.on_codec`, and over them the overrides, its own last."""
    changes = tree["vocoder"]["on_codec"]
    changed = {**tree, "vocoder": {**merged(tree["vocoder"], changes), "on_codec": None}}
    for override in overrides:
        if override.startswith("vocoder.") and not override.startswith(_ON_CODEC[:-1]):
            override_(changed, override)
    for override in overrides:
        if override.startswith(_ON_CODEC):
            override_(changed, override.replace(_ON_CODEC, "vocoder.", 1))
    return changed


def merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of the tree with the changes, section by section."""
    joined = deepcopy(tree)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(joined.get(key), dict)
        joined[key] = merged(joined[key], value) if both else value
    return joined
