"""A sample of the rows that made a test fail, for its details."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import warehouse_for
from goldsmith.results.record import NodeResult

_SAMPLES = 20  # tests of one build whose failing rows are fetched
_SAMPLE_TIME = 10.0
_RED = {"fail", "warn"}


@dataclass(kw_only=True)
class Sampler:
    """Adds failing rows to the details of a task's red and warning tests, to those of the first few.

    A warehouse that cannot be asked while dbt builds is asked when dbt has ended.

    Args:
        site: Where the nodes are built.
        run_id: The run.
        task_id: The task.
    """

    site: Site
    run_id: str
    task_id: str
    _taken: int = field(default=0, init=False)
    _waiting: list[NodeResult] = field(default_factory=list, init=False)

    def now(self, result: NodeResult) -> NodeResult:
        """The details with their rows; as they are, if there are none, or none yet."""
        if not self._is_wanted(result):
            return result
        self._taken += 1
        if warehouse_for(self.site, self.run_id, self.task_id).answers_beside_dbt:
            return self._sampled([result])[0]
        self._waiting.append(result)
        return result

    @property
    def waits(self) -> bool:
        """Whether details have no rows yet, because dbt has to end first."""
        return bool(self._waiting)

    def at_last(self) -> list[NodeResult]:
        """The details that had to wait, again and with their rows; to be called when dbt has ended.

        Keep them without rows first: asking may take long, and be stopped.
        """
        waiting, self._waiting = self._waiting, []
        return [one for one in self._sampled(waiting) if one.failing_rows is not None] if waiting else []

    def _is_wanted(self, result: NodeResult) -> bool:
        is_red = result.kind == "test" and result.status in _RED and bool(result.compiled_sql)
        return is_red and self.site.failing_rows > 0 and self._taken < _SAMPLES

    def _sampled(self, results: Sequence[NodeResult]) -> list[NodeResult]:
        found = warehouse_for(self.site, self.run_id, self.task_id).sample_rows(
            [one.compiled_sql for one in results], limit=self.site.failing_rows, timeout=_SAMPLE_TIME
        )
        return [replace(one, failing_rows=rows) for one, rows in zip(results, found, strict=True)]
