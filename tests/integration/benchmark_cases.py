"""Every benchmark with every option, at the smallest size that it has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One way to run a benchmark.

    Args:
        program: Name of its file in `benchmarks/`, without the suffix.
        options: Its command line; `{packages}`, `{root}` and `{figure}` stand for paths.
        is_quick: Whether it runs with each change; the others run in .ci/full.
        writes: Whether it can write its numbers as JSON.
        needs_redis: Whether it starts a Redis server.
    """

    program: str
    options: str
    is_quick: bool = False
    writes: bool = True
    needs_redis: bool = False

    @property
    def name(self) -> str:
        """What the test is called."""
        return f"{self.program} {self.options}".strip()


_ENGINES = "--models 10 --repeat 1"
_BOTH = "--variants dbt_build,shared"

CASES = (
    Case(program="engines", options=f"{_ENGINES} {_BOTH} --gate layer", is_quick=True),
    Case(
        program="engines",
        options=f"{_ENGINES} --variants dbt_build,isolated,cosmos_watcher,cosmos_local --gate node --seed 2",
    ),
    Case(
        program="engines", options=f"{_ENGINES} {_BOTH} --gate node --tasks test --executor local --warm-up"
    ),
    Case(program="engines", options=f"{_ENGINES} {_BOTH} --gate layer --tasks model"),
    Case(
        program="engines",
        options=f"{_ENGINES} {_BOTH} --gate layer --tasks model_tests --executor celery",
        needs_redis=True,
    ),
    Case(program="engines", options=f"{_ENGINES} --variants dbt_build,shared --gate node --fail-share 0.05"),
    Case(program="engines", options=f"{_BOTH} --repeat 1 --heal"),
    Case(program="engines", options=f"{_ENGINES} {_BOTH} --retry-one"),
    Case(program="parse", options="--models 10 --repeat 1", is_quick=True),
    Case(program="start", options="--repeat 1", is_quick=True),
    Case(program="folder", options="--pipelines 2 --models 10 --repeat 1", is_quick=True),
    Case(program="parse", options="--models 10 --repeat 1 --engine isolated --gate node --tasks test"),
    Case(
        program="parse",
        options="--models 10 --repeat 1 --engine shared --gate layer --tasks model --root {root}",
    ),
    Case(program="parse", options="--models 10 --repeat 1 --tasks model_tests"),
    Case(program="ingest", options="--rows 2000 --repeat 1 --group-repeat 1 --sessions 2", is_quick=True),
    Case(program="growth", options="--cases 10,10:model_tests --gate layer --seed 2"),
    Case(program="growth", options="--cases 10:model --gate node"),
    Case(program="check", options="--pipelines 1 --models 10 --repeat 1", is_quick=True),
    Case(program="docs", options="--check", is_quick=True, writes=False),
    Case(program="elementary", options="--packages {packages} --models 10 --repeat 1 --seed 2"),
    Case(
        program="chaos",
        options="--runs 1 --seed 2 --gates by_layer --kinds 'model fails once' --width 2 --minutes 5 --executor local",
        writes=False,
    ),
    Case(
        program="chaos",
        options="--runs 1 --gates by_node --kinds 'task killed' --width 2 --executor celery",
        writes=False,
        needs_redis=True,
    ),
)
# Options that measure nothing: they have tests of their own.
DRAWS = ("--figure", "--from")
