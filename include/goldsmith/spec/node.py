"""What a dbt node says of itself in `meta.goldsmith`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError, field_validator

from goldsmith.errors import SpecError
from goldsmith.spec.base import Duration, SpecModel, explain, some_time

RetriedErrors = Literal["transient", "any"]
"""Which errors are worth a retry: all that are not known to be permanent, or any."""


class NodeMeta(SpecModel):
    """The keys of `meta.goldsmith`."""

    retry_errors: RetriedErrors | None = None
    """In place of the spec's `retries.errors`."""
    timeout: Duration | None = None
    """In place of the spec's `node_timeout`."""
    slow_after: Duration | None = None
    """In place of the spec's `slow_after`."""

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
        hint = "Mend it in the node's YAML file or `config`, then run goldsmith manifest."
        if not isinstance(values or {}, dict):
            raise SpecError(f"meta.goldsmith of {where} holds no mapping: {values!r}.", hint=hint)
        try:
            return cls.model_validate(values or {})
        except ValidationError as error:
            raise SpecError(
                f"meta.goldsmith of {where} is not valid:\n{explain(error, cls)}", hint=hint
            ) from error
