"""dbt selections and dbt variables, as a pipeline spec holds them."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, JsonValue

from goldsmith.spec.base import one_or_more

_OF_A_RUN = re.compile(r"(?:\d*\+|@)?(?P<method>result|state|source_status)(?:\.\w+)*:")


def _known_before_runs(selection: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what changes from run to run: a pipeline has the same tasks in all of them."""
    for term in (term for text in selection for term in text.split()):
        for part in term.split(","):
            if match := _OF_A_RUN.match(part):
                raise ValueError(
                    f"{term!r}: what `{match['method']}:` matches changes from run to run, and the tasks of a pipeline "
                    "do not; write it into the selection of a run, such as goldsmith run --select"
                )
    if any(not text.strip() for text in selection):
        raise ValueError("an empty text selects nothing; take it away")
    return selection


def _as_json(value: Any) -> Any:
    """YAML reads 2026-01-01 as a date; dbt gets what was written."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _as_json(one) for key, one in value.items()}
    return [_as_json(one) for one in value] if isinstance(value, list | tuple) else value


Selection = Annotated[
    tuple[str, ...],
    one_or_more(str),
    AfterValidator(_known_before_runs),
]
"""dbt selection: one expression or several, of which a node has to match one."""
Variables = Annotated[dict[str, JsonValue], BeforeValidator(_as_json)]
"""dbt variables: values that JSON can hold."""
