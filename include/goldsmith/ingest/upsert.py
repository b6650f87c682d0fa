"""The statement that merges a range of keys from staging into the table, and where the ranges meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import psycopg
from psycopg import sql

from goldsmith.ingest.load import position_column
from goldsmith.ingest.tables import Names
from goldsmith.spec.ingest import LOAD_TIMESTAMP, Ingest

_SAMPLED = 1_000
"""How many staged rows are looked at to find ranges of about the same size."""

_UPSERT = sql.SQL("""
with latest as (
    select distinct on ({key}) {columns}
    from ({staged}) as staged
    where {of_this_part}
    order by {key}, chunk_ desc, {position} desc
), merged as (
    insert into {target} as old ({columns}, {stamp_column})
    select {columns}, %(stamp)s from latest
    {on_conflict}
    returning xmax = 0 as is_new
)
select (select count(*) from latest), count(*) filter (where is_new), count(*) filter (where not is_new)
from merged
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Upsert:
    """Everything the statements of one merge have in common."""

    ingest: Ingest
    names: Names
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
        """The upsert of a part; it returns how many keys it had, and of them inserted and changed ones."""
        ingest = self.ingest
        return _UPSERT.format(
            key=_list(ingest.key),
            columns=_list(ingest.columns),
            staged=_staged(ingest, self.names, self.chunks, ingest.columns),
            of_this_part=self._of_part(part),
            position=sql.Identifier(position_column(ingest)),
            target=self.names.target,
            stamp_column=sql.Identifier(LOAD_TIMESTAMP),
            on_conflict=sql.SQL("") if self.is_first else _on_conflict(ingest),
        )

    def parameters(self, part: int) -> dict[str, object]:
        """The values that belong to a part's statement."""
        low = self.bounds[part - 1] if part else ()
        high = self.bounds[part] if part < len(self.bounds) else ()
        return {
            "stamp": self.stamp,
            **{f"low_{number}": value for number, value in enumerate(low)},
            **{f"high_{number}": value for number, value in enumerate(high)},
        }

    def _of_part(self, part: int) -> sql.Composable:
        size, key = len(self.ingest.key), _list(self.ingest.key)
        conditions = [
            sql.SQL("({}) {} ({})").format(key, sql.SQL(sign), _placeholders(name, size))
            for name, sign, is_bounded in (("low", ">=", part > 0), ("high", "<", part < len(self.bounds)))
            if is_bounded
        ]
        return sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true")


def key_bounds(
    connection: psycopg.Connection[tuple[object, ...]],
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
        sql.SQL("select {}, {}, {} as chunk_ from {}").format(
            _list(columns), sql.Identifier(position_column(ingest)), number, names.staging(number)
        )
        for number in chunks
    ]
    return sql.SQL(" union all ").join(selects)


def _list(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _placeholders(name: str, size: int) -> sql.Composed:
    return sql.SQL(", ").join(sql.Placeholder(f"{name}_{number}") for number in range(size))


def _on_conflict(ingest: Ingest) -> sql.Composable:
    """Update a row that differs; leave alone, `load_timestamp` included, one that does not."""
    others = [sql.Identifier(name) for name in ingest.columns if name not in ingest.key]
    if not others:
        return sql.SQL("on conflict ({}) do nothing").format(_list(ingest.key))
    return sql.SQL("on conflict ({}) do update set {}, {} = excluded.{} where {}").format(
        _list(ingest.key),
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in others),
        sql.Identifier(LOAD_TIMESTAMP),
        sql.Identifier(LOAD_TIMESTAMP),
        sql.SQL(" or ").join(
            sql.SQL("old.{0} is distinct from excluded.{0}").format(name) for name in others
        ),
    )
