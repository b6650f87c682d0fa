"""Which assets a pipeline waits for: those of other pipelines, or anybody's."""

from __future__ import annotations

import re
from typing import Any

from pydantic import GetJsonSchemaHandler, field_validator, model_validator

from goldsmith.spec.base import SpecModel

_URI = re.compile(r"(?!airflow:)[a-z][a-z0-9+.-]*://[^\s@?#]{1,1000}")


class After(SpecModel):
    """The assets whose update starts a run.

    Example:
        >>> After.model_validate(["goldsmith://shop/gold/fct_orders"]).all
        ('goldsmith://shop/gold/fct_orders',)
    """

    all: tuple[str, ...] = ()
    """URIs: a run starts when each was updated since the last one."""
    any: tuple[str, ...] = ()
    """URIs: a run starts when one was updated."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """It may be written as one URI, or as a list of them."""
        uris = {"type": "array", "items": {"type": "string"}}
        return {"anyOf": [{"type": "string"}, uris, handler.resolve_ref_schema(handler(core))]}

    @model_validator(mode="before")
    @classmethod
    def _from_plain_uris(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"all": (value,)}
        return {"all": value} if isinstance(value, list | tuple) else value

    @field_validator("all", "any")
    @classmethod
    def _uris(cls, uris: tuple[str, ...]) -> tuple[str, ...]:
        for uri in uris:
            if not _URI.fullmatch(uri):
                raise ValueError(
                    f"{uri!r} is no URI of an asset, such as goldsmith://shop/gold/fct_orders; "
                    "Airflow's Assets page lists them"
                )
        return uris

    @model_validator(mode="after")
    def _all_or_any(self) -> After:
        if bool(self.all) == bool(self.any):
            raise ValueError("name the assets to wait for: a list of URIs, `all: [...]` or `any: [...]`")
        return self

    @property
    def uris(self) -> tuple[str, ...]:
        """All that are named."""
        return self.all or self.any

    @property
    def text(self) -> str:
        """The same in words."""
        if len(self.uris) == 1:
            return f"after {self.uris[0]}"
        return f"after {'all' if self.all else 'any'} of {', '.join(self.uris)}"
