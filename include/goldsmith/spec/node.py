"""What a dbt node says of itself in `meta.goldsmith`, and the kinds of nodes that a pipeline may leave out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import ValidationError, field_validator

from goldsmith.errors import SpecError
from goldsmith.spec.base import Duration, SpecModel, explain, one_or_more, some_time

RetriedErrors = Literal["transient", "any"]
"""Which errors are worth a retry: all that are not known to be permanent, or any."""


ExpectedKind = Literal["table", "view", "any", "nothing"]
"""What a node leaves in the warehouse: a relation of this kind, of whatever kind, or none."""


ResourceType = Literal["model", "seed", "snapshot", "test", "unit_test", "source", "function"]
"""dbt's resource types of what a pipeline runs; `source` stands for freshness checks."""
RESOURCE_TYPES: tuple[str, ...] = get_args(ResourceType)


ResourceTypes = Annotated[tuple[ResourceType, ...], one_or_more(ResourceType)]
"""One resource type, or several."""


META_HINT = "Fix it in the node's YAML file or `config`, then run goldsmith manifest."
"""What to do about a fault in a node's `meta`."""


class NodeMeta(SpecModel):
    """The keys of `meta.goldsmith`."""

    retry_errors: RetriedErrors | None = None
    """In place of the spec's `retries.errors`."""
    timeout: Duration | None = None
    """In place of the spec's `node_timeout`."""
    slow_after: Duration | None = None
    """In place of the spec's `slow_after`."""
    expect: ExpectedKind | None = None
    """In place of what its materialization usually leaves in the warehouse."""

    _some_time = field_validator("timeout", "slow_after")(some_time)

    @classmethod
    def parse(cls, values: Any, *, where: str) -> NodeMeta:
        """Check what stands there.

        Args:
            values: The value of the key; none where there is no such key.
            where: The node's unique id.

        Raises:
            SpecError: With one line per fault, and the nearest valid key for an unknown one.
        """
        if not isinstance(values or {}, dict):
            raise SpecError(f"meta.goldsmith of {where} holds no mapping: {values!r}.", hint=META_HINT)
        try:
            return cls.model_validate(values or {})
        except ValidationError as error:
            raise SpecError(
                f"meta.goldsmith of {where} is not valid:\n{explain(error, cls)}", hint=META_HINT
            ) from error
