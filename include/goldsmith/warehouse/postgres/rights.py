"""Which right a login lacks in PostgreSQL, as the statement that gives it.

The server names the thing, not the right, and a table without its schema. So the catalogue is asked, which everybody
may read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import psycopg
from psycopg import sql

from goldsmith.errors import EnvironmentProblem
from goldsmith.warehouse.names import relation_of
from goldsmith.warehouse.postgres.session import Session, open_session

_DENIED = re.compile(r"permission denied for ([a-z ]+?) (\S.*?)\s*$", re.MULTILINE)
_NOT_OWNER = re.compile(r"must be owner of ([a-z ]+?) (\S.*?)\s*$", re.MULTILINE)
_RELATIONS = frozenset({"table", "view", "materialized view", "foreign table", "relation"})
_TIME = 5  # seconds
_MOST = 3  # statements
_KINDS = {"v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}
_SCHEMA = """
select has_schema_privilege(oid, 'usage'), has_schema_privilege(oid, 'create') from pg_namespace where nspname = %s
"""
_CALLED = """
select nspname, relkind::text, has_table_privilege(c.oid, 'select'), pg_has_role(relowner, 'usage')
from pg_class c join pg_namespace n on n.oid = relnamespace
where relname = %s and relkind in ('r', 'p', 'v', 'm', 'f') and nspname not in ('pg_catalog', 'information_schema')
order by nspname
"""
_MAY_CREATE = "select current_database(), has_database_privilege(current_database(), 'create')"


def grant_for(conn_id: str, said: str, *, query: str, schema: str) -> str:
    """The statement that gives a right.

    Args:
        conn_id: The Airflow connection.
        said: What the server said.
        query: The compiled SQL that it said it of; may be empty.
        schema: Schema in which something was to be made; may be empty.

    Returns:
        Empty if the text is about something else, or the catalogue cannot be asked.
    """
    is_owner_wanted = _NOT_OWNER.search(said)
    found = is_owner_wanted or _DENIED.search(said)
    if not found:
        return ""
    kind, name = found[1], found[2].strip('"')
    try:
        with open_session(conn_id, name="goldsmith rights", connect_timeout=_TIME) as session:
            about = _Rights(session, query=query, schema=schema)
            grants = about.owner(name) if is_owner_wanted else about.denied(kind, name)
            return " ".join(grants[:_MOST])
    except (psycopg.Error, EnvironmentProblem):
        return ""


def missing_grants(conn_id: str, *, writes: Iterable[str], reads: Iterable[str]) -> list[str]:
    """The statements that give the rights which are missing to make and to read relations.

    Args:
        conn_id: The Airflow connection.
        writes: Names of relations that are made.
        reads: Names of relations that are read, and that others make.

    Raises:
        EnvironmentProblem: The warehouse does not answer.
    """
    with open_session(conn_id, name="goldsmith rights", connect_timeout=_TIME) as session:
        found: dict[str, None] = {}
        for schema in dict.fromkeys(relation_of(one)[0] for one in writes):
            about = _Rights(session, query="", schema=schema)
            found |= dict.fromkeys(about.schema(schema) if about.knows(schema) else about.database())
        for schema, name in dict.fromkeys(map(relation_of, reads)):
            about = _Rights(session, query=f'"{schema}"."{name}"', schema="")
            found |= dict.fromkeys([*about.schema(schema), *about.relations(name)])
        return list(found)


class _Rights:
    """What one session may do.

    Args:
        session: The session.
        query: SQL that reads.
        schema: Where something is made.
    """

    def __init__(self, session: Session, *, query: str, schema: str) -> None:
        self._session = session
        self._query = query
        self._makes_in = schema
        self._user = self._rows("select current_user::text")[0][0]

    def denied(self, kind: str, name: str) -> list[str]:
        """The rights that were missing."""
        if kind == "database":
            return self.database()
        if kind == "schema":
            return [*self.schema(name), *self._read_in(name)]
        if kind in _RELATIONS:
            return self.relations(name)
        return [self._grant("USAGE", "SEQUENCE", name)] if kind == "sequence" else []

    def knows(self, schema: str) -> bool:
        """Whether there is such a schema."""
        return bool(self._rows(_SCHEMA, schema))

    def database(self) -> list[str]:
        """To make schemas."""
        [(database, may_create)] = self._rows(_MAY_CREATE)
        return [] if may_create else [self._grant("CREATE", "DATABASE", database)]

    def schema(self, name: str) -> list[str]:
        """To use a schema, and to make relations in it if the query does not only read there."""
        for may_use, may_create in self._rows(_SCHEMA, name):
            makes = name == self._makes_in or not self._mentions(name)
            lacks = [*([] if may_use else ["USAGE"]), *(["CREATE"] if makes and not may_create else [])]
            return [self._grant(", ".join(lacks), "SCHEMA", name)] if lacks else []
        return []

    def relations(self, name: str) -> list[str]:
        """To read relations of a name: those in schemas that the query mentions."""
        found = [(schema, may_read) for schema, _, may_read, _ in self._rows(_CALLED, name)]
        near = [one for one in found if one[0] == self._makes_in or self._mentions(one[0])] or found
        return [self._grant("SELECT", "TABLE", schema, name) for schema, may_read in near if not may_read]

    def owner(self, name: str) -> list[str]:
        """To replace a relation: dbt drops and renames, which only its owner may."""
        found = [(schema, kind) for schema, kind, _, owns in self._rows(_CALLED, name) if not owns]
        near = [one for one in found if one[0] == self._makes_in] or found
        return [
            self._text("ALTER {} {} OWNER TO {};", _KINDS.get(kind, "TABLE"), schema, name)
            for schema, kind in near
        ]

    def _read_in(self, schema: str) -> Iterator[str]:
        """To read what the query names in a schema that it may not use either."""
        if self._mentions(schema) and schema != self._makes_in:
            for name in dict.fromkeys(re.findall(rf'"{re.escape(schema)}"\."([^"]+)"', self._query)):
                yield from self.relations(name)

    def _mentions(self, schema: str) -> bool:
        return re.search(rf"\b{re.escape(schema)}\"?\.", self._query) is not None

    def _grant(self, right: str, kind: str, *names: str) -> str:
        return self._text(f"GRANT {right} ON {{}} {{}} TO {{}};", kind, *names)

    def _text(self, form: str, kind: str, *names: str) -> str:
        parts = sql.SQL(kind), sql.Identifier(*names), sql.Identifier(self._user)
        return sql.SQL(form).format(*parts).as_string(self._session)

    def _rows(self, query: str, *values: str) -> Sequence[tuple[str, ...]]:
        return self._session.execute(query.encode(), values).fetchall()
