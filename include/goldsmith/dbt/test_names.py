"""Whether a generic test's name belongs to it alone.

dbt makes the name of a generic test out of the test, its node and its arguments (dbt-core,
`synthesize_generic_test_names`). It replaces what is no letter, digit or underscore, joins lists with `__`, and leaves
out `config`. So two tests of a node may have one name, also two with a `name:` that a person wrote. dbt tells them
apart by a hash in their unique ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[0-9A-Za-z]+(_[0-9A-Za-z]+)*")
_REF = re.compile(r"ref\((['\"])([0-9A-Za-z]+(?:_[0-9A-Za-z]+)*)\1\)")
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "unique": (),
    "not_null": (),
    "accepted_values": ("values",),
    "relationships": ("field", "to"),
}
"""dbt's own tests, and their arguments beside `column_name`, by which nobody confuses two of them."""
_BEGINNINGS = {name.partition("_")[0] for name in _ARGUMENTS}
_CONFIG = {"where": None, "limit": None, "fail_calc": "count(*)", "warn_if": "!= 0", "error_if": "!= 0"}


def has_own_name(entry: Mapping[str, Any]) -> bool:
    """Whether no other test of the same node and package can have a test's name.

    Args:
        entry: The test, as the manifest has it.
    """
    metadata = entry.get("test_metadata")
    if not metadata:
        return True  # a file of its own: dbt allows one of a name in each package
    arguments = {key: value for key, value in metadata["kwargs"].items() if key != "model"}
    test = metadata["name"]
    is_dbts = test in _ARGUMENTS and not metadata.get("namespace")
    # Of two words, the second may be the first of another test's column: `a` of `b_c`, and `a_b` of `c`.
    if not is_dbts and ("_" in test or test in _BEGINNINGS):
        return False
    own = _ARGUMENTS[test] if is_dbts else ()
    config = entry.get("config") or {}
    return (
        set(arguments) <= {"column_name", *own}
        and all(config.get(key, usual) == usual for key, usual in _CONFIG.items())
        and _is_made_of(str(entry["name"]), metadata, arguments)
    )


def _is_made_of(name: str, metadata: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Whether dbt made the name, and out of arguments that it did not have to change."""
    words: list[str] = []
    # Where `__` joins nothing, a column may have it in its name.
    plain = re.compile(r"\w+", re.ASCII) if set(arguments) <= {"column_name"} else _PLAIN
    for _, value in sorted(arguments.items()):
        for one in value if isinstance(value, list) else [value]:
            text = str(one)
            if not (plain.fullmatch(text) or _REF.fullmatch(text)):
                return False
            words.append(re.sub("[^0-9a-zA-Z_]+", "_", text))
    namespace = f"{metadata['namespace']}_" if metadata.get("namespace") else ""
    begins = (f"{namespace}{metadata['name']}_", f"source_{namespace}{metadata['name']}_")
    return name.startswith(begins) and name.endswith(f"_{'__'.join(words)}")
