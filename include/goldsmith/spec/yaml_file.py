"""YAML, with one kind of error for whatever is wrong with it, and the line of each key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"
# libyaml, where PyYAML was built with it, is ten times as fast; the messages of the other one show the line.
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _construct_strictly(loader: Any, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's
    seen: set[Any] = set()
    for key, _ in node.value:
        if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} is written twice", key.start_mark
            )
        seen.add(key.value)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


class _FastStrict(_Fast):  # type: ignore[misc]  # its class is known only when it runs
    construct_mapping = _construct_strictly


class _Strict(yaml.SafeLoader):
    construct_mapping = _construct_strictly


def read_yaml(text: str, *, is_strict: bool = True) -> Any:
    """Plain values out of YAML.

    Args:
        text: The YAML.
        is_strict: Refuse a key that is written twice in one mapping; else the last one counts, as it does for dbt.

    Raises:
        yaml.YAMLError: It is none.
    """
    return _loaded(text, _FastStrict if is_strict else _Fast, _Strict if is_strict else yaml.SafeLoader)


def lines_of(text: str) -> Callable[[Sequence[str | int]], int]:
    """Where the keys of a YAML text stand.

    Args:
        text: YAML that can be read.

    Returns:
        Gives the line, from 1, of the key or item at a path, or of the last part of the path that is written there; 0
        if not even its first part is.
    """
    top = yaml.compose(text, Loader=yaml.SafeLoader)

    def line(path: Sequence[str | int]) -> int:
        found, node = 0, top
        for part in path:
            if isinstance(node, yaml.MappingNode):
                inner = [(key.start_mark.line, value) for key, value in node.value if key.value == str(part)]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                inner = [(one.start_mark.line, one) for one in node.value[part : part + 1]]
            else:
                inner = []
            if not inner:
                break
            found, node = inner[0][0] + 1, inner[0][1]
        return found

    return line


def _loaded(text: str, fast: Any, exact: Any) -> Any:
    try:
        return yaml.load(text, Loader=fast)  # noqa: S506 - SafeLoaders
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    try:
        return yaml.load(text, Loader=exact)  # noqa: S506 - as above
    except (ValueError, RecursionError) as error:  # PyYAML lets some through: a date that no calendar has
        raise yaml.YAMLError(f"it has a value that cannot be read: {error}") from error
