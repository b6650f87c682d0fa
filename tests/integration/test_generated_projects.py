"""Projects that hypothesis draws: nodes, order and task ids of their DAGs against dbt's own graph."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests.generated.answers import Dbt
from tests.generated.checks import VARIANTS, check_pipeline
from tests.generated.files import write
from tests.generated.project import Shape
from tests.generated.strategy import drawn, shapes

from goldsmith.dbt.project import find_project
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

pytestmark = pytest.mark.integration

MakeSettings = Callable[[Path], Settings]
SEEDS = tuple(range(8))
"""For each change the same few projects."""
FULL = hypothesis.settings(
    max_examples=int(os.environ.get("GENERATED_EXAMPLES", "300")),
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
)
"""Other projects each time."""


@pytest.fixture(scope="module")
def dbt() -> Iterator[Dbt]:
    """dbt, loaded once."""
    started = Dbt()
    yield started
    started.close()


def check_shape(shape: Shape, dbt: Dbt, settings_for: MakeSettings) -> None:
    """Compare all ways to run a project with dbt."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(shape, root / "dbt_project")
        answer = dbt.ask(root / "dbt_project")
        assert not answer.error
        project = find_project(root / "dbt_project")
        for variant in VARIANTS:
            check_pipeline(Pipeline.parse(shape.spec(**variant)), project, settings_for(root), answer)


def check_ids(shape: Shape, less: Shape, dbt: Dbt, settings_for: MakeSettings) -> None:
    """Compare the task ids of a project with those it has without one of its nodes."""
    ids: list[dict[str, str]] = []
    for one in (less, shape):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write(one, root / "dbt_project")
            answer = dbt.ask(root / "dbt_project")
            assert not answer.error
            spec = Pipeline.parse(one.spec(gate="node", tasks="test"))
            plan = check_pipeline(spec, find_project(root / "dbt_project"), settings_for(root), answer)
            assert plan
            ids.append({node.unique_id: node.task_id for node in plan.nodes})
    before, after = ids
    assert {uid: before[uid] for uid in before if uid in after} == {
        uid: after[uid] for uid in after if uid in before
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_dag_is_dbts_graph(seed: int, dbt: Dbt, settings_for: MakeSettings) -> None:
    """Both engines and both gates run each node of `dbt ls` once, and nothing before what dbt puts before it."""
    check_shape(drawn(shapes(), seed=seed, size=lambda shape: shape.size), dbt, settings_for)


@pytest.mark.full
@given(shape=shapes())
@FULL
def test_the_dag_is_dbts_graph_for_many(shape: Shape, dbt: Dbt, settings_for: MakeSettings) -> None:
    """The same for hundreds of projects."""
    check_shape(shape, dbt, settings_for)


@st.composite
def grown(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """A project, and the same with one more node."""
    shape = draw(shapes(ordered=True).filter(lambda one: any(one.without_one())))
    return draw(st.sampled_from([less for _, less in shape.without_one()])), shape


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_node_renames_no_task(seed: int, dbt: Dbt, settings_for: MakeSettings) -> None:
    """A task's id depends on its node alone: its history and its retries hang on it."""
    less, more = drawn(grown(), seed=seed, size=lambda pair: pair[1].size)
    check_ids(more, less, dbt, settings_for)


@pytest.mark.full
@given(pair=grown())
@FULL
def test_a_new_node_renames_no_task_in_many(
    pair: tuple[Shape, Shape], dbt: Dbt, settings_for: MakeSettings
) -> None:
    """The same for hundreds of projects."""
    less, more = pair
    check_ids(more, less, dbt, settings_for)
