"""A sample of the rows that made a test fail, for its details."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from goldsmith.engine.site import Site
from goldsmith.results.record import NodeResult

_SAMPLES = 20  # tests of one build whose failing rows are fetched
_SAMPLE_TIME = 10.0
_RED = {"fail", "warn"}


def sampler(site: Site) -> Callable[[NodeResult], NodeResult]:
    """Adds failing rows to the details of a red or warning test, to those of the first few."""
    from goldsmith.warehouse.rows import sample_rows

    taken = 0

    def sample(result: NodeResult) -> NodeResult:
        nonlocal taken
        if result.kind != "test" or result.status not in _RED or not result.compiled_sql:
            return result
        if site.failing_rows == 0 or taken >= _SAMPLES:
            return result
        taken += 1
        rows = sample_rows(
            site.target.connection, result.compiled_sql, limit=site.failing_rows, timeout=_SAMPLE_TIME
        )
        return replace(result, failing_rows=rows)

    return sample
