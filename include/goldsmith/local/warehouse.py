"""The warehouse for work with dbt alone: the database, the sample data in it, and `.env`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from goldsmith.errors import ConfigurationError
from goldsmith.ingest.file import load_file
from goldsmith.local.airflow import local_stack
from goldsmith.local.environment import WAREHOUSE
from goldsmith.local.pipelines import find_pipelines
from goldsmith.local.postgres import PORT, SUPERUSER, EmbeddedPostgres
from goldsmith.settings import Settings

BEGIN = "# Written by `goldsmith up --warehouse`; it holds no secrets. Your own lines outside are kept."
END = "# End of what Goldsmith wrote."


def start_warehouse(here: Settings, report: Callable[[str], None]) -> EmbeddedPostgres:
    """Start the embedded database, load the pipelines' raw files, and write `.env`.

    Args:
        here: Settings of this process.
        report: Called with a line for each step.

    Raises:
        ConfigurationError: The user has named a warehouse.
        EnvironmentProblem: The database does not start.
        IngestError: A raw file cannot be loaded.
    """
    stack = local_stack(here, report)
    if not stack.needs.warehouse:
        raise ConfigurationError(
            f"{WAREHOUSE} names a warehouse of your own: there is none to start.", hint=f"unset {WAREHOUSE}"
        )
    report("Starting PostgreSQL")
    server = stack.start_database()
    for spec, _ in find_pipelines(here).pipelines.values():
        for ingest in spec.ingest:
            with server.wrapped_errors():
                result = load_file(server.conninfo("warehouse"), ingest, here.root)
            report(f"Loaded {result}")
    kept = write_dotenv(here.root / ".env", dbt_variables(server))
    report(f"Wrote {here.root / '.env'}" + (f"; kept your own {', '.join(kept)}" if kept else ""))
    return server


def dbt_variables(server: EmbeddedPostgres) -> dict[str, str]:
    """What the dbt profile reads from the environment."""
    return {
        "WAREHOUSE_TYPE": "postgres",
        "WAREHOUSE_HOST": str(server.socket_dir),
        "WAREHOUSE_PORT": str(PORT),
        "WAREHOUSE_USER": SUPERUSER,
        "WAREHOUSE_DATABASE": "warehouse",
    }


def write_dotenv(file: Path, values: Mapping[str, str]) -> list[str]:
    """Write variables into a marked block of a `.env` file.

    Returns:
        The names that the user's own lines set; those are left to the user.
    """
    file = file.resolve()  # a link stays one
    text = _read_text(file) if file.is_file() else ""
    own = _own_lines(text, set(values))
    set_by_user = {
        line.strip().removeprefix("export ").split("=", 1)[0].strip() for line in own if "=" in line
    }
    block = [f'{name}="{value}"' for name, value in values.items() if name not in set_by_user]
    if own and not own[-1].endswith("\n"):
        own[-1] += "\n"
    end = "\r\n" if own and own[0].endswith("\r\n") else "\n"
    staging = file.with_name(f"{file.name}.part")
    if file.is_file():  # before there is anything to read in it
        staging.touch(mode=0o600)
        staging.chmod(file.stat().st_mode & 0o777)
    with staging.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines((*own, *(line + end for line in (BEGIN, *block, END))))
    staging.replace(file)
    return sorted(set_by_user.intersection(values))


def _read_text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8: {error}", hint="Save it as UTF-8.") from error


def _own_lines(text: str, ours: Collection[str]) -> list[str]:
    """The user's lines, as they are: all but the marked block, which ends with the first line that we do not write."""
    own: list[str] = []
    is_ours = False
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if bare in (BEGIN, END):
            is_ours = bare == BEGIN
        elif not is_ours or bare.split("=", 1)[0] not in ours:
            is_ours = False
            own.append(line)
    return own
