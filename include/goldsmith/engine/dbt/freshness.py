"""What a stale source is taken for, by the pipeline's `freshness`, and what to do about one that is not there."""

from __future__ import annotations

from dataclasses import replace

from goldsmith.results.record import WARN, NodeResult

_STALE = "error"  # dbt's status
_NO_ANSWER = "runtime error"  # of a source that dbt cannot look at: there is no such table, say
_OFF = (
    "dbt could not look at this source. If its table is filled later or elsewhere: `freshness: off` in the pipeline "
    "spec checks no source."
)


def by_policy(result: NodeResult, freshness: str) -> NodeResult:
    """A result as the pipeline takes it: with `warn` a stale source is as good as any, and says that it is stale.

    Of one that is not there the message says how to check none.

    Args:
        result: What dbt said about a node.
        freshness: The pipeline's policy.
    """
    if result.kind == "source" and result.status == _NO_ANSWER:
        return replace(result, message=f"{result.message}\n{_OFF}".strip())
    if freshness != "warn" or result.kind != "source" or result.status != _STALE:
        return result
    said = f"Stale, and let pass by `freshness: warn`. {result.message}".strip()
    return replace(result, status=WARN, message=said)
