"""A project of one quick and one slow model, and dbt commands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict
from tests.integration.waiting import until

from goldsmith.dbt.process import DbtProcess
from goldsmith.stack.postgres import EmbeddedPostgres

FILES = {
    "dbt_project.yml": "name: hosted\nprofile: hosted\n",
    "profiles.yml": (
        "hosted: {target: t, outputs: {t: {type: postgres, host: \"{{ env_var('PGHOST') }}\", port: 5432, "
        "user: \"{{ env_var('PGUSER') }}\", password: '', dbname: warehouse, schema: hosted, "
        "threads: 1, application_name: ''}}}\n"
    ),
    "models/quick.sql": "select '{{ env_var('SAID') }}' as said",
    "models/slow.sql": "{{ config(materialized='table') }} select pg_sleep(300)::text as slept",
}
SLEEPING = "select 1 from pg_stat_activity where application_name = 'hosted' and wait_event = 'PgSleep'"
WATCHED = "-c client_connection_check_interval=500"
"""As in a task: the server ends the query of a client that is gone."""
FLAGS = ("--no-version-check", "--log-level-file", "none", "--no-use-colors")


class Lab:
    """A project, and commands in it."""

    def __init__(self, path: Path, server: EmbeddedPostgres) -> None:
        self.path = path
        self.server = server
        self.dbt = ""

    def start(self, model: str, **env: str) -> DbtProcess:
        """Start to build a model."""
        parts = conninfo_to_dict(self.server.conninfo("warehouse"))
        around = {
            "PGHOST": str(parts["host"]),
            "PGUSER": str(parts["user"]),
            "PGAPPNAME": "hosted",
            "SAID": "",
            "PGOPTIONS": WATCHED,
        }
        command = [*FLAGS, "run", "--select", model, "--target-path", str(self.path / "target" / model)]
        return DbtProcess(command, cwd=self.path, env={**around, **env}, dbt=self.dbt, adapter="postgres")

    def built(self, model: str, **env: str) -> tuple[int, str]:
        """Build a model; dbt's exit code and output."""
        process = self.start(model, **env)
        said = "".join(process.lines())
        return process.wait(), said

    def parent(self) -> int:
        """Build a model; process id of what started dbt for it."""
        process = self.start("quick")
        found = psutil.Process(process.pid).ppid()
        assert "Completed successfully" in "".join(process.lines())
        assert process.wait() == 0
        return found

    def sql(self, statement: Any) -> list[Any]:
        """Ask the warehouse."""
        with psycopg.connect(self.server.conninfo("warehouse"), autocommit=True) as session:
            return session.execute(statement).fetchall()

    def sleeping(self) -> DbtProcess:
        """A command whose query runs."""
        process = self.start("slow")
        assert until(lambda: bool(self.sql(SLEEPING)), seconds=60)
        return process

    def ends(self, process: DbtProcess) -> None:
        """Wait until dbt and its query have ended."""
        assert until(lambda: not is_alive(process.pid) and not self.sql(SLEEPING), seconds=60)


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that has ended may still be waited for."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
