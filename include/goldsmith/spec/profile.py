"""How dbt connects: an Airflow connection and what goes beside it, or an output of a profiles.yml."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from goldsmith.spec.base import SpecModel
from goldsmith.spec.run import MOST_THREADS

_WHERE = re.compile(r"[^.\s]+\.[^.\s]+")


class Profile(SpecModel):
    """How dbt connects: everything but what the Airflow connection says itself; or the file that says all of it."""

    schema_: str = Field("analytics", alias="schema")
    """dbt's `target.schema`: where nodes without a schema of their own go."""
    threads: int = Field(4, ge=1, le=MOST_THREADS)
    extra: dict[str, str | int | bool] = Field(default_factory=dict)
    """More keys of the dbt profile, such as `catalog` on Databricks. Never secrets."""
    file: str | None = None
    """Path of a profiles.yml, from the repository's root. Its output is the connection for dbt and for Goldsmith."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variable of the file's `env_var` to `connection.field`: the Airflow connection that it comes from."""

    @field_validator("env")
    @classmethod
    def _fields(cls, env: dict[str, str]) -> dict[str, str]:
        for name, where in env.items():
            if not _WHERE.fullmatch(where):
                raise ValueError(
                    f"{where!r} for {name} is no field of an Airflow connection; write such as warehouse.password"
                )
        return env

    @model_validator(mode="after")
    def _file_or_connection(self) -> Profile:
        written = self.model_fields_set
        beside = sorted({"schema_", "threads", "extra"} & written)
        if self.file is not None and beside:
            raise ValueError(
                f"{beside[0].rstrip('_')} stands in {self.file}; write it there, or leave `file` out"
            )
        if self.file is None and self.env:
            raise ValueError(
                "`env` is about the variables of a profiles.yml; write which: file: profiles.yml"
            )
        return self

    def for_dbt(self) -> dict[str, str | int | bool]:
        """Keys of the dbt profile, beside an Airflow connection."""
        if self.file is not None:
            return {}
        return {"schema": self.schema_, "threads": self.threads, **self.extra}
