"""The statement that merges a range of keys from staging into the table, and where the ranges meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import LiteralString

from psycopg import sql

from goldsmith.ingest.names import Connection, Names, free_name, position_column
from goldsmith.ingest.shape import Shape, same_key
from goldsmith.spec.ingest import LOAD_TIMESTAMP, Ingest

_SAMPLED = 1_000
"""How many staged rows are looked at to find ranges of about the same size."""

_LATEST = sql.SQL("""
    select distinct on ({key}) {columns}
    from ({staged}) as staged
    where {of_this_part}
    order by {key}, {chunk} desc, {position} desc
""")
_INSERT = sql.SQL("""
with written as (
    insert into {target} ({columns}, {stamp_column})
    select {columns}, %(stamp)s from ({latest}) as latest
    returning 1
)
select count(*), 0, 0, count(*), (select count(*) from ({staged}) as staged where {of_this_part}) from written
""")
_UPSERT = sql.SQL("""
with compared as materialized (
    select {latest_columns}, held.{first_key} is null as {new},
           held.{first_key} is not null and not ({differs}) as {same}
    from ({latest}) as latest left join {target} as held on {same_key} and {held_of_this_part}
), written as (
    insert into {target} as held ({columns}, {stamp_column})
    select {columns}, %(stamp)s from compared where not {same}
    {on_conflict}
    returning 1
)
select count(*) filter (where {new}), count(*) filter (where not {new} and not {same}),
       count(*) filter (where {same}), (select count(*) from written),
       (select count(*) from ({staged}) as staged where {of_this_part})
from compared
""")
_SUPERSEDED = sql.SQL("""
select coalesce(sum(rows - 1), 0) from (
    select count(*) as rows from ({staged}) as staged where {of_this_part} group by {key} having count(*) > 1
) as repeated
""")
_MISSING = sql.SQL("""
select count(*) filter (where held.{first_key} is null),
       count(*) filter (where held.{first_key} is not null and ({differs})),
       min(latest.{first_key}) filter (where held.{first_key} is null)
from ({latest}) as latest left join {target} as held on {same_key}
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Upsert:
    """Everything the statements of one merge have in common."""

    ingest: Ingest
    names: Names
    shape: Shape
    chunks: tuple[int, ...]
    bounds: tuple[tuple[object, ...], ...]
    """The keys at which one part ends and the next begins, ascending."""
    stamp: object
    """The `load_timestamp` of this merge, from the database's clock."""
    is_first: bool
    """Whether the table is empty: then nothing can conflict, and a plain insert is a third faster."""

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self.bounds) + 1

    def statement(self, part: int) -> sql.Composed:
        """The upsert of a part: it counts new, changed and unchanged keys, rows it has written, and staged rows.

        A row that is like the file's is neither written nor locked.
        """
        return (_INSERT if self.is_first else _UPSERT).format(**self._names(part))

    def superseded(self, part: int) -> sql.Composed:
        """Count the staged rows of a part whose key a later row has."""
        return _SUPERSEDED.format(**self._names(part))

    def missing(self, part: int) -> sql.Composed:
        """Count the keys of a part that the table lacks, and those with other values; name the first it lacks."""
        return _MISSING.format(**self._names(part))

    def _names(self, part: int) -> dict[str, sql.Composable]:
        ingest = self.ingest
        names: dict[str, sql.Composable] = {
            "key": _list(ingest.key),
            "first_key": sql.Identifier(ingest.key[0]),
            "columns": _list(ingest.columns),
            "latest_columns": _list(ingest.columns, of="latest"),
            "staged": _staged(ingest, self.names, self.chunks, ingest.columns),
            "of_this_part": self._of_part(part, _list(ingest.key)),
            # Implied by the keys' equality, which PostgreSQL does not see: each part would hash the whole table.
            "held_of_this_part": self._of_part(part, _list(ingest.key, of="held", suffix=' collate "C"')),
            "chunk": _free("chunk_", ingest),
            "position": sql.Identifier(position_column(ingest)),
            "new": _free("new_", ingest),
            "same": _free("same_", ingest),
            "target": self.names.target,
            "stamp_column": sql.Identifier(LOAD_TIMESTAMP),
            "differs": _differs(ingest, one="held", other="latest"),
            "same_key": same_key(ingest, self.shape, one="held", other="latest"),
            "on_conflict": _on_conflict(ingest),
        }
        return {**names, "latest": _LATEST.format(**names)}

    def parameters(self, part: int) -> dict[str, object]:
        """The values that belong to a part's statement."""
        low = self.bounds[part - 1] if part else ()
        high = self.bounds[part] if part < len(self.bounds) else ()
        return {
            "stamp": self.stamp,
            **{f"low_{number}": value for number, value in enumerate(low)},
            **{f"high_{number}": value for number, value in enumerate(high)},
        }

    def _of_part(self, part: int, key: sql.Composable) -> sql.Composable:
        size = len(self.ingest.key)
        conditions = [
            sql.SQL("({}) {} ({})").format(key, sql.SQL(sign), _placeholders(name, size))
            for name, sign, is_bounded in (("low", ">=", part > 0), ("high", "<", part < len(self.bounds)))
            if is_bounded
        ]
        return sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true")


def key_bounds(
    connection: Connection,
    ingest: Ingest,
    names: Names,
    chunks: Sequence[int],
    *,
    staged: int,
    parts: int,
) -> tuple[tuple[object, ...], ...]:
    """Choose keys that cut the staged rows into about equal ranges; always the same for the same rows.

    Ranges, and not hashes, let each part go through table and index once, in order.
    """
    if parts == 1:
        return ()
    position = sql.Identifier(position_column(ingest))
    rows = connection.execute(
        sql.SQL("select {} from ({}) as staged where {} %% %s = 0 order by {}").format(
            _list(ingest.key),
            _staged(ingest, names, chunks, ingest.key),
            position,
            _list(ingest.key),
        ),
        (max(1, staged // _SAMPLED),),
    ).fetchall()
    found = [rows[len(rows) * part // parts] for part in range(1, parts)] if rows else []
    return tuple(found[:1] + [high for low, high in pairwise(found) if low != high])


def _staged(ingest: Ingest, names: Names, chunks: Sequence[int], columns: Sequence[str]) -> sql.Composed:
    selects = [
        sql.SQL("select {}, {}, {} as {} from {}").format(
            _list(columns),
            sql.Identifier(position_column(ingest)),
            number,
            _free("chunk_", ingest),
            names.staging(number),
        )
        for number in chunks
    ]
    return sql.SQL(" union all ").join(selects)


def _free(name: str, ingest: Ingest) -> sql.Identifier:
    return sql.Identifier(free_name(name, ingest))


def _list(names: Sequence[str], *, of: str = "", suffix: LiteralString = "") -> sql.Composed:
    listed = (sql.Identifier(of, name) if of else sql.Identifier(name) for name in names)
    return sql.SQL(", ").join(sql.SQL("{}{}").format(name, sql.SQL(suffix)) for name in listed)


def _placeholders(name: str, size: int) -> sql.Composed:
    return sql.SQL(", ").join(sql.Placeholder(f"{name}_{number}") for number in range(size))


def _differs(ingest: Ingest, *, one: str, other: str) -> sql.Composable:
    others = [name for name in ingest.columns if name not in ingest.key]
    if not others:
        return sql.SQL("false")
    return sql.SQL(" or ").join(
        sql.SQL("{0}.{2} is distinct from {1}.{2}").format(
            sql.Identifier(one), sql.Identifier(other), sql.Identifier(name)
        )
        for name in others
    )


def _on_conflict(ingest: Ingest) -> sql.Composable:
    """Update a row that somebody else has written since we looked, or that differs."""
    others = [sql.Identifier(name) for name in ingest.columns if name not in ingest.key]
    if not others:
        return sql.SQL("on conflict ({}) do nothing").format(_list(ingest.key))
    return sql.SQL("on conflict ({}) do update set {}, {} = excluded.{}").format(
        _list(ingest.key),
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in others),
        sql.Identifier(LOAD_TIMESTAMP),
        sql.Identifier(LOAD_TIMESTAMP),
    )
