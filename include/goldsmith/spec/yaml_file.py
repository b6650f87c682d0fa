"""YAML, with one kind of error for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is written twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str, *, is_strict: bool = True) -> Any:
    """Plain values out of YAML.

    Args:
        text: The YAML.
        is_strict: Refuse a key that is written twice in one mapping; else the last one counts, as it does for dbt.

    Raises:
        yaml.YAMLError: It is none.
    """
    try:
        return yaml.load(text, Loader=_Loader if is_strict else yaml.SafeLoader)  # noqa: S506 - SafeLoaders
    except (ValueError, RecursionError) as error:  # PyYAML lets some through: a date that no calendar has
        raise yaml.YAMLError(f"it has a value that cannot be read: {error}") from error
