"""Names of relations, as dbt writes them."""

from __future__ import annotations

import re

from goldsmith.errors import ConfigurationError

Relation = tuple[str, str]
"""Schema and name, without quotes."""

_PART = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([^\s."`]+)')


def relation_of(quoted_name: str) -> Relation:
    """Read schema and name from a relation name as dbt writes it.

    Args:
        quoted_name: Two or three parts, each in double quotes, in backticks or bare. A bare one is lower-cased, as
            PostgreSQL and Databricks do.

    Raises:
        ConfigurationError: It is no such name.

    Example:
        >>> relation_of('"warehouse"."bronze"."stg_orders"')
        ('bronze', 'stg_orders')
    """
    parts = [part if is_quoted else part.lower() for part, is_quoted in parts_of(quoted_name)]
    return parts[-2], parts[-1]


def parts_of(quoted_name: str) -> list[tuple[str, bool]]:
    """The two or three parts of a relation name as dbt writes it, without quotes, and whether each had them.

    Raises:
        ConfigurationError: It is no such name.
    """
    parts: list[tuple[str, bool]] = []
    at = 0
    while match := _PART.match(quoted_name, at):
        double, back, bare = match.groups()
        if bare:
            parts.append((bare, False))
        else:
            parts.append(((double or "").replace('""', '"') or (back or "").replace("``", "`"), True))
        at = match.end() + 1
        if quoted_name[match.end() : at] != ".":
            break
    if len(parts) not in (2, 3) or at <= len(quoted_name):
        raise ConfigurationError(
            f"{quoted_name!r} is not the name of a relation: a schema and a name, or a database before them.",
            hint="See relation_name in target/manifest.json; then: dbt parse",
        )
    return parts
