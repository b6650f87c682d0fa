"""The warehouse for work with dbt alone: the database, the sample data in it, and `.env`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from goldsmith.errors import ConfigurationError
from goldsmith.ingest.file import load_file
from goldsmith.local.airflow import local_stack
from goldsmith.local.environment import WAREHOUSE
from goldsmith.local.postgres import PORT, SUPERUSER, EmbeddedPostgres
from goldsmith.pipeline import pipelines_in
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
    for spec, _ in pipelines_in(here.dags_dir).values():
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
    own = _own_lines(file.read_text(encoding="utf-8")) if file.is_file() else []
    set_by_user = {line.removeprefix("export ").split("=", 1)[0].strip() for line in own if "=" in line}
    block = [f'{name}="{value}"' for name, value in values.items() if name not in set_by_user]
    lines = [*own, BEGIN, *block, END]
    staging = file.with_name(f"{file.name}.part")
    staging.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if file.is_file():
        staging.chmod(file.stat().st_mode & 0o777)
    staging.replace(file)
    return sorted(set_by_user.intersection(values))


def _own_lines(text: str) -> list[str]:
    own: list[str] = []
    is_ours = False
    for line in text.splitlines():
        if line == BEGIN:
            is_ours = True
        if not is_ours:
            own.append(line)
        if line == END:
            is_ours = False
    return own
