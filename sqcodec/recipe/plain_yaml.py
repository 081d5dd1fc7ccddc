"""YAML as recipes have it: plain values, of a size that a person writes."""

from typing import Any

import yaml

from sqcodec.errors import RecipeError

_MAX_VALUES, _MAX_DEPTH = 10_000, 50  # after aliases are written out; the longest recipe that ships has 100 values


class _EachKeyOnce(yaml.SafeLoader):
    """PyYAML takes the last of equal keys; what a section of that name said before would be lost without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping as it is written. Raises ConstructorError: a key is there twice."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return node


def parse(text: str) -> Any:
    """The value of a YAML text. Raises RecipeError with the reason, one line: not YAML, or too large."""
    try:
        value = _EachKeyOnce(text).get_single_data()
    except yaml.YAMLError as error:
        raise RecipeError(" ".join(str(error).split())) from None
    except RecursionError:
        raise RecipeError(f"nested more than {_MAX_DEPTH} deep") from None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:  # of PyYAML's own constructors
        raise RecipeError(f"a value that cannot be read ({' '.join(str(error).split())[:200]})") from None
    _check_size(value)
    return value


def _check_size(value: Any) -> None:
    count, level = 0, [value]
    for _ in range(_MAX_DEPTH):
        count += len(level)
        if count > _MAX_VALUES:
            raise RecipeError(f"more than {_MAX_VALUES} values, with what its aliases stand for")
        level = [part for node in level for part in _parts(node)]
        if not level:
            return
    raise RecipeError(f"nested more than {_MAX_DEPTH} deep")


def _parts(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [*node.keys(), *node.values()]
    return list(node) if isinstance(node, list | tuple | set) else []
