"""Databricks as Goldsmith uses it, by the hook of Airflow's provider."""

from __future__ import annotations

import re
import socket
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar
from urllib.request import getproxies

from goldsmith.errors import EnvironmentProblem, NoSuchTable
from goldsmith.profile_file import ProfileFile, airflow_connection, named
from goldsmith.warehouse.base import MATERIALIZED_VIEW, TABLE, VIEW, Value
from goldsmith.warehouse.names import parts_of, relation_of
from goldsmith.warehouse.sql import SqlWarehouse

# https://docs.databricks.com/aws/en/sql/language-manual/information-schema/tables; all others are tables.
_KINDS = {"VIEW": VIEW, "METRIC_VIEW": VIEW, "MATERIALIZED_VIEW": MATERIALIZED_VIEW}

# https://docs.databricks.com/aws/en/error-messages/error-classes#insufficient_permissions
_LACKS = re.compile(r"does not have ([A-Z][A-Z ]*[A-Z]) on (\w+) '([^']+)'")


class DatabricksWarehouse(SqlWarehouse):
    """Databricks with Unity Catalog."""

    types: ClassVar[Mapping[str, str]] = {"text": "string", "time": "timestamp", "number": "double"}
    quote: ClassVar[str] = "`"

    def relation_kinds(self, relations: Collection[str]) -> dict[str, str]:
        """Ask the information schema of each catalog, with one query over the schemas; names in any case."""
        by_catalog: dict[str, list[str]] = defaultdict(list)
        for relation in relations:
            by_catalog["".join(part for part, _ in parts_of(relation)[:-2])].append(relation)
        return {
            relation: kind
            for catalog, wanted in by_catalog.items()
            for relation, kind in self._in_catalog(catalog, wanted).items()
        }

    def _in_catalog(self, catalog: str, wanted: Sequence[str]) -> dict[str, str]:
        places = {relation: relation_of(relation) for relation in wanted}
        schemas = ", ".join(sorted({_literal(schema.lower()) for schema, _ in places.values()}))
        statement = (
            "select lower(table_schema), lower(table_name), table_type from information_schema.tables"  # noqa: S608
            f" where lower(table_schema) in ({schemas})"
        )
        rows = self._records(statement, catalog)
        found = {(schema, name): _KINDS.get(kind, TABLE) for schema, name, kind in rows or ()}
        return {
            relation: found[schema.lower(), name.lower()]
            for relation, (schema, name) in places.items()
            if (schema.lower(), name.lower()) in found
        }

    def run(
        self,
        statement: str,
        values: Sequence[Value] = (),
        *,
        name: str,  # noqa: ARG002 - its sessions have none
        timeout: float = 30.0,  # noqa: ARG002
    ) -> list[tuple[Any, ...]]:
        """Run one statement."""
        file = ProfileFile.of(self.conn_id)
        catalog = str(file.output().get("catalog") or "") if file else ""
        return [tuple(row) for row in self._records(_filled(statement, values), catalog)]

    def session_options(self) -> Mapping[str, str]:
        """Nothing; but a host that there is not is named at once. Databricks' connector looks for it for 15 minutes."""
        host = str(airflow_connection(self.conn_id).host or "").rpartition("://")[2].partition("/")[0]
        if host and not getproxies().get("https"):  # else the proxy looks for it
            try:
                socket.getaddrinfo(host.partition(":")[0], 443)
            except OSError as error:
                said = f"could not translate host name {host!r}: {error}"
                raise self.explained(said) or EnvironmentProblem(said) from error
        return {}

    def grant_for(self, said: str, *, query: str = "", schema: str = "") -> str:  # noqa: ARG002
        """The right that the message names."""
        found = _LACKS.search(said)
        return f"GRANT {found[1]} ON {found[2].upper()} {found[3]} TO `user@example.com`;" if found else ""

    def _records(self, statement: str, catalog: str) -> list[Any]:
        hook = self._hook(**({"catalog": catalog} if catalog else {}))
        try:
            return list(hook.get_records(statement) or ())
        except Exception as error:
            if "_NOT_FOUND" in str(error):  # TABLE_OR_VIEW_NOT_FOUND, SCHEMA_NOT_FOUND
                raise NoSuchTable(str(error)) from error
            said = f"The warehouse ({named(self.conn_id)}) failed: {error}"
            raise self.explained(str(error)) or EnvironmentProblem(said) from error

    def _hook(self, **arguments: Any) -> Any:
        try:
            from airflow.providers.databricks.hooks.databricks_sql import (  # type: ignore[import-not-found, unused-ignore]
                DatabricksSqlHook,
            )
        except ImportError as error:
            raise EnvironmentProblem(
                f"The warehouse ({named(self.conn_id)}) cannot be asked: there is no hook for it.",
                hint="pip install apache-airflow-providers-databricks",
            ) from error
        hook: Any = DatabricksSqlHook(databricks_conn_id=self.conn_id, **arguments)
        if ProfileFile.of(self.conn_id):
            hook.databricks_conn = airflow_connection(self.conn_id)  # which Airflow does not know by its id
        return hook


def _filled(statement: str, values: Sequence[Value]) -> str:
    """The statement with its values: each kind of Databricks cursor wants its own marks for them."""
    left = iter(values)
    return re.sub(r"%[s%]", lambda match: "%" if match[0] == "%%" else _literal(next(left)), statement)


def _literal(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value)
