"""Questions to a warehouse that dbt's adapter answers: the text of `dbt show --inline`, and what dbt prints.

Each question is Jinja that sets `answer`. The answers come as one line that dbt prints, as JSON: a query that gives
them back would need each warehouse's own way to write a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from goldsmith.errors import EnvironmentProblem

# Linux takes 128 KiB for one argument of a command.
_LONGEST = 90_000
_MARK = "goldsmith-answers "


def inline_queries(questions: Sequence[str]) -> Iterator[str]:
    """The texts to be asked one after the other, each with as many questions as fit.

    Raises:
        EnvironmentProblem: A question is too long to be asked.
    """
    chosen: list[str] = []
    for question in questions:
        if len(question) > _LONGEST:
            raise EnvironmentProblem(f"A question of {len(question)} characters is too long for dbt.")
        if sum(map(len, chosen)) + len(question) > _LONGEST:
            yield _text(chosen)
            chosen = []
        chosen.append(question)
    if chosen:
        yield _text(chosen)


def answers_in(lines: Iterable[str]) -> list[Any]:
    """The answers in dbt's JSON log lines; none if dbt did not come to them."""
    for line in lines:
        if _MARK not in line:
            continue
        event = json.loads(line)
        text = str(event["info"]["msg"])
        # The text of the query is in other events, at level debug.
        if event["info"]["name"] == "PrintEvent" and text.startswith(_MARK):
            return list(json.loads(text.removeprefix(_MARK)))
    return []


def _text(questions: Sequence[str]) -> str:
    asked = "".join(f"{question}{{% do answers.append(answer) %}}" for question in questions)
    # dbt reads the text once more when it parses: then there is no warehouse.
    return (
        "{% if execute %}{% set answers = [] %}"
        f'{asked}{{% do print("{_MARK}" ~ tojson(answers)) %}}{{% endif %}}select 1 as asked'
    )
