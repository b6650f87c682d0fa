"""What a stale source is taken for, by the pipeline's `freshness`."""

from __future__ import annotations

from dataclasses import replace

from goldsmith.engine.marks import WARN
from goldsmith.results.record import NodeResult

_STALE = "error"  # dbt's status; of a source that it cannot look at it says `runtime error`


def by_policy(result: NodeResult, freshness: str) -> NodeResult:
    """A result as the pipeline takes it: with `warn` a stale source is as good as any, and says that it is stale.

    Args:
        result: What dbt said about a node.
        freshness: The pipeline's policy.
    """
    if freshness != "warn" or result.kind != "source" or result.status != _STALE:
        return result
    said = f"Stale, and let pass by `freshness: warn`. {result.message}".strip()
    return replace(result, status=WARN, message=said)
