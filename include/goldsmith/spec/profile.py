"""How dbt connects, beside the Airflow connection."""

from __future__ import annotations

from pydantic import Field

from goldsmith.spec.base import SpecModel
from goldsmith.spec.run import MOST_THREADS


class Profile(SpecModel):
    """How dbt connects: everything but what the Airflow connection says itself."""

    schema_: str = Field("analytics", alias="schema")
    """dbt's `target.schema`: where nodes without a schema of their own go."""
    threads: int = Field(4, ge=1, le=MOST_THREADS)
    extra: dict[str, str | int | bool] = Field(default_factory=dict)
    """More keys of the dbt profile, such as `catalog` on Databricks. Never secrets."""

    def for_dbt(self) -> dict[str, str | int | bool]:
        """Keys of the dbt profile."""
        return {"schema": self.schema_, "threads": self.threads, **self.extra}
