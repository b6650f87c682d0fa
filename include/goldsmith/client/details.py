"""What dbt said about a node, as lines of text."""

from __future__ import annotations

from goldsmith.results.history import NodeHistory
from goldsmith.results.record import FailingRows, NodeResult

_WIDEST = 60


def detail_lines(node: NodeHistory) -> list[str]:
    """Everything about the latest time, after a few lines on each earlier one."""
    lines = []
    for record in node.earlier:
        lines += [f"Before: {_headline(record)}", *_indented(record.message.splitlines()), ""]
    return lines + _full(node.latest)


def _full(record: NodeResult) -> list[str]:
    facts = [
        ("status", record.status),
        ("message", "" if "\n" in record.message else record.message),
        ("started", record.started),
        ("duration", f"{record.seconds:.2f} s"),
        ("rows", "" if record.rows is None else str(record.rows)),
        ("failures", "" if record.failures is None else str(record.failures)),
        ("relation", f"{record.relation} ({record.materialized})" if record.relation else ""),
        ("run by", record.built_by),
        ("command", record.command),
    ]
    lines = [record.unique_id, *(f"  {name:9} {value}" for name, value in facts if value)]
    if "\n" in record.message:
        lines += ["", "Message:", *_indented(record.message.splitlines())]
    if record.failing_rows:
        lines += ["", "Failing rows:", *_indented(_table(record.failing_rows))]
    if record.lines:
        lines += ["", "dbt printed:", *_indented(record.lines)]
    if record.compiled_sql:
        lines += ["", "Compiled SQL:", *_indented(record.compiled_sql.strip("\n").splitlines())]
    return lines


def _headline(record: NodeResult) -> str:
    return f"{record.status}, {record.started or 'not started'}, {record.seconds:.2f} s, run by {record.built_by}"


def _table(sample: FailingRows) -> list[str]:
    """Columns one below the other; a long value is cut, and whole in the page and with --json."""
    rows = [tuple(map(_cell, row)) for row in (sample.columns, *sample.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cell(value: str) -> str:
    one_line = " ".join(value.splitlines())
    return one_line if len(one_line) <= _WIDEST else f"{one_line[: _WIDEST - 1]}…"


def _indented(lines: list[str] | tuple[str, ...]) -> list[str]:
    return [f"  {line}" for line in lines]
