"""What PostgreSQL refuses, in the words of an ingest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from goldsmith.errors import IngestError
from goldsmith.spec.ingest import Ingest

_GONE = (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn, errors.UndefinedObject)
_GONE_HINT = "Run the ingest again from its split, which makes and checks the tables."


@contextmanager
def explained(ingest: Ingest) -> Iterator[None]:
    """Turn errors of PostgreSQL that have a known cause into errors of the ingest; let others pass.

    Raises:
        IngestError: What happened, for the table of the ingest.
    """
    try:
        yield
    except psycopg.Error as fault:
        error = _explain(fault, ingest)
        if error is None:
            raise
        raise error from fault


def _explain(fault: psycopg.Error, ingest: Ingest) -> IngestError | None:
    said = fault.diag.message_primary or str(fault)
    if isinstance(fault, _GONE):
        return IngestError(
            f"A table of {ingest.source} was dropped or changed while {ingest.file} was loaded: {said}."
            " Nothing was loaded.",
            hint=_GONE_HINT,
        )
    if isinstance(fault, errors.ProgramLimitExceeded) and "index" in said:
        return IngestError(
            f"{ingest.file}: a value is too long for an index of {ingest.source}: {said}. Nothing was loaded.",
            hint=f"Correct the value, or choose a shorter key than ({', '.join(ingest.key)}).",
        )
    if isinstance(fault, errors.ProgramLimitExceeded):
        return IngestError(
            f"{ingest.file}: a row does not fit into a table of PostgreSQL: {said}"
            f" ({fault.diag.context or ingest.source}). Nothing was loaded.",
            hint="Split the file into several with fewer columns.",
        )
    if isinstance(fault, errors.FeatureNotSupported):
        return IngestError(
            f"PostgreSQL cannot load {ingest.file} into {ingest.source}: {said}. Nothing was loaded.",
            hint=f"See the triggers, rules and partitions of that table: \\d+ {ingest.source} in psql.",
        )
    if isinstance(fault, errors.InsufficientPrivilege):
        return IngestError(
            f"PostgreSQL does not let this user load {ingest.file} into {ingest.source}: {said}. Nothing was loaded.",
            hint="Grant what is missing. Under row level security use the table's owner, or a role with BYPASSRLS.",
        )
    return None
