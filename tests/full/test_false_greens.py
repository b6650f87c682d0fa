"""Faults that could make a run green: each with both engines, in one real Airflow.

A run is red and a failed task's log names the reason, or it is green and everything is built and tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pytest
from tests.full.fault_ground import Outcome, Plot, at_once, plot
from tests.full.fault_list import ANY, COMPLETE, FAULTS, NOT_COMPARED, Fault
from tests.full.fault_project import BATCHES, ENGINES

from goldsmith.rest import Run

pytestmark = [pytest.mark.full, pytest.mark.integration]


@pytest.fixture(scope="module")
def airflow() -> Iterator[Plot]:
    """One for all faults."""
    with plot() as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: re.sub(r"\W+", "_", fault.name))
def test_no_run_is_green_that_must_not_be(airflow: Plot, fault: Fault) -> None:
    """With both engines at once."""
    airflow.reset()
    dags = {engine: BATCHES[engine] if fault.has_batches else engine for engine in ENGINES}
    airflow.set(*(f"{dag_id}.{key}" for dag_id in dags.values() for key in fault.keys))
    airflow.switch(env=fault.env, code=fault.code)
    for name, text in fault.edits.items():
        airflow.edit(name, text)
    tested = {engine: airflow.tested(dag_id) for engine, dag_id in dags.items()}
    runs = {engine: _start(airflow, dag_id, fault) for engine, dag_id in dags.items()}
    _act(airflow, fault, runs)
    found = {}
    for engine, mine in runs.items():
        ended = [airflow.outcome(run, tested=tested[engine]) for run in mine]
        if fault.after is not None:
            fault.after(airflow, mine[-1])
            ended = [airflow.outcome(mine[-1], tested=tested[engine])]
        found[engine] = ended
    wrong = [
        f"{engine}: {why}"
        for engine, ended in found.items()
        for one in ended
        if (why := _wrong(one, fault.says(engine), is_race=fault.is_race))
    ]
    assert not wrong, "\n\n".join(wrong)


def _start(airflow: Plot, dag_id: str, fault: Fault) -> list[Run]:
    return [airflow.here.api.trigger(dag_id, conf=fault.conf or None) for _ in range(fault.runs)]


def _act(airflow: Plot, fault: Fault, runs: dict[str, list[Run]]) -> None:
    """Do what is to be done while both runs are at it: to each, or once."""
    if fault.act is None:
        return
    act = fault.act
    if not fault.is_for_both:
        work = {
            engine: partial(airflow.at_moment, mine[0], partial(act, airflow, mine[0]))
            for engine, mine in runs.items()
        }
        at_once(work)
        return
    shared, isolated = (mine[0] for mine in runs.values())
    airflow.at_moment(shared, lambda: airflow.at_moment(isolated, lambda: act(airflow, shared)))


def _wrong(found: Outcome, says: str, *, is_race: bool) -> str:
    """What is wrong with how a run ended; empty for nothing."""
    seen = f"ended {found.state}: {dict(found.states)}\n{found.said[-6000:]}"
    if found.state == "success":
        if says == NOT_COMPARED:
            return ""
        if not found.is_complete:
            return f"FALSE GREEN, {seen}"
        return "" if is_race or says == COMPLETE else f"green and complete, expected {says!r}"
    if says in (COMPLETE, NOT_COMPARED):
        return f"red, expected {says!r}, {seen}"
    return "" if says == ANY or says in found.said else f"its logs lack {says!r}, {seen}"
