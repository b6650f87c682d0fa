"""What a check found, and how that is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rich.table import Table
from rich.text import Text

from goldsmith.errors import GoldsmithError

OK, WARN, FAIL = "ok", "warn", "fail"
_STYLES = {OK: "green", WARN: "yellow", FAIL: "bold red"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    subject: str
    """The pipeline, and which check."""
    status: str
    """`ok`, `warn` or `fail`."""
    text: str
    hint: str = ""

    def strictly(self) -> Finding:
        """The finding with a warning counted as a failure."""
        return replace(self, status=FAIL) if self.status == WARN else self


def failure(subject: str, error: Exception) -> Finding:
    """The finding that an exception is: one sentence and what to do about it."""
    if isinstance(error, GoldsmithError):
        return Finding(subject=subject, status=FAIL, text=error.message, hint=error.hint)
    said = f"{type(error).__name__}: {error}".strip(": \n")
    hint = "This is a fault in Goldsmith: please report it, with the dbt project's manifest.json if possible."
    return Finding(subject=subject, status=FAIL, text=f"The check itself failed with {said}", hint=hint)


def tried(subject: str, test: Callable[[], tuple[str, str]], *, hint: str = "") -> Finding:
    """Do one check.

    Args:
        subject: The pipeline, and which check.
        test: Gives status and text.
        hint: What to do if the status is not `ok`.
    """
    try:
        status, text = test()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported and the other checks go on
        return failure(subject, error)
    return Finding(subject=subject, status=status, text=text, hint=hint if status != OK else "")


def findings_table(findings: list[Finding]) -> Table:
    """The findings for people: what failed stands out, and below it what to do."""
    table = Table(box=None, pad_edge=False)
    for head in ("", "check", "found"):
        table.add_column(head, overflow="fold")
    for each in findings:
        found = Text(each.text)
        if each.hint:
            found.append(f"\n{each.hint}", style="italic")
        table.add_row(Text(each.status, style=_STYLES[each.status]), each.subject, found)
    return table
