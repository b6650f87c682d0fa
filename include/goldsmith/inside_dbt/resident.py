"""Run several dbt commands in one process: `python -m goldsmith.dbt.resident`, an optional shortcut.

Starting dbt costs seconds, and so does parsing a project. Here dbt is loaded once, and a project that the first
command parsed is not parsed again for the others. In go dbt's command lines, out come their exit codes and output, so
that a `dbt` command for each of them would do as well.

One of the places that import dbt; `goldsmith.dbt.parse` starts it only if dbt belongs to this environment.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any


def answers(commands: Iterable[list[str]]) -> Iterator[dict[str, Any]]:
    """Run dbt commands one after the other; stop if the project cannot be parsed.

    Args:
        commands: dbt's command lines, without `dbt`.

    Yields:
        `code`, dbt's exit code, and `output`, what it printed.
    """
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    parsed: Manifest | None = None
    for command in commands:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            outcome = dbtRunner(manifest=parsed).invoke(command)
        if isinstance(outcome.result, Manifest):
            parsed = outcome.result
        code = 0 if outcome.success else 2 if outcome.exception else 1
        yield {"code": code, "output": said.getvalue() + (f"{outcome.exception}\n" if code == 2 else "")}
        if parsed is None:
            return


def main() -> None:
    """Read a list of commands as JSON from stdin, and print a line of JSON for each."""
    for answer in answers(json.load(sys.stdin)):
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
