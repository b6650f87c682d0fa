"""The command `goldsmith`: it collects the commands, and turns errors into a message and an exit code."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.text import Text

from goldsmith.commands import (
    alerts,
    backfill,
    cancel,
    check,
    deps,
    down,
    gate,
    init,
    logs,
    manifest,
    new,
    plan,
    render,
    report,
    retry,
    run,
    sample,
    schema,
    status,
    up,
)
from goldsmith.commands.as_json import print_json
from goldsmith.errors import EnvironmentProblem, GoldsmithError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Run a dbt project on Apache Airflow: every model and every test its own task.

    Exit codes: 0 success, 1 the run or the data failed, 2 the command line or the configuration is wrong,
    3 the environment fails (a server, a folder, a permission), 130 interrupted with Ctrl-C.
    """,
    epilog="Example: goldsmith run",
)
# In the order in which `goldsmith --help` lists them.
for command in (
    init,
    new,
    run,
    retry,
    cancel,
    backfill,
    up,
    down,
    status,
    logs,
    plan,
    check,
    manifest,
    deps,
    render,
    report,
    gate,
    alerts,
    schema,
    sample,
):
    command.register(app)

INTERRUPTED = 130


def main() -> None:
    """Run the command line; a mistake ends with a message, a hint and an exit code, never with a traceback."""
    try:
        code = app(standalone_mode=False) or 0
    except GoldsmithError as error:
        code = _say_error(error)
    except typer.TyperException as error:
        getattr(error, "show", lambda: None)()  # the usage, on stderr
        code = _print_error(error.format_message(), hint="goldsmith --help", exit_code=error.exit_code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if not _is_of_environment(error):
            raise
        code = _say_error(EnvironmentProblem(f"{type(error).__name__}: {str(error).strip()}"))
    if code == INTERRUPTED:
        _print_error("Interrupted.", hint="", exit_code=INTERRUPTED)
    sys.exit(code)


def _is_of_environment(error: Exception) -> bool:
    """Whether a folder, a permission, a full disk or a database is the cause, and no mistake in Goldsmith."""
    if isinstance(error, OSError):
        return True
    from psycopg import Error

    return isinstance(error, Error)


def _say_error(error: GoldsmithError) -> int:
    console = Console(stderr=True)
    console.print(Text(error.message, style="bold red"), soft_wrap=True)
    if error.hint:
        console.print(Text(error.hint), soft_wrap=True)
    return _print_error(error.message, hint=error.hint, exit_code=error.exit_code)


def _print_error(message: str, *, hint: str, exit_code: int) -> int:
    """Print what went wrong as JSON, where JSON was asked for; give the exit code back."""
    if "--json" in sys.argv:
        print_json({"error": message, "hint": hint, "exit_code": exit_code})
    return exit_code


if __name__ == "__main__":
    main()
