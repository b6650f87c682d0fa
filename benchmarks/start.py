"""What it takes to start dbt: `dbt build` of one model, on an embedded PostgreSQL, with dbt's parser cache warm.

    host    goldsmith.inside_dbt.host forks for each command, as in an Airflow of Goldsmith's
    fork    a fork of this process, in which dbt is loaded: the least that is possible
    dbt     the `dbt` command, as in an Airflow without a host; the yardstick

The ways take turns. CPU seconds are those of dbt alone. Below the table stands what a host pays once: imports,
and two parses of a tiny project.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from projects import TARGET
from psycopg.conninfo import conninfo_to_dict
from record import Record
from rich.console import Console
from rich.table import Table

from goldsmith.dbt import hosts
from goldsmith.dbt.executable import dbt_executable
from goldsmith.inside_dbt import dbt_fork
from goldsmith.stack.postgres import EmbeddedPostgres

_FILES = {
    "dbt_project.yml": "name: one\nprofile: one\n",
    "profiles.yml": (
        f"one: {{target: {TARGET}, outputs: {{{TARGET}: {{type: postgres, port: 5432, dbname: warehouse, "
        "password: '', schema: one, threads: 4, host: \"{{ env_var('PGHOST') }}\", "
        "user: \"{{ env_var('PGUSER') }}\"}}}\n"
    ),
    "models/one.sql": "{{ config(materialized='table') }} select 1 as id",
}
_COMMAND = (
    *("--no-version-check", "--no-write-json", "--cache-selected-only", "--log-format", "json"),
    *("--log-level", "debug", "--log-level-file", "none", "build", "--select", "one"),
)
_YARDSTICK = "dbt"
Times = tuple[float, float]
"""Wall and CPU seconds of one command."""


class Lab:
    """The project, and the ways to build it.

    Args:
        folder: Of the project.
        server: The warehouse.
    """

    def __init__(self, folder: Path, server: EmbeddedPostgres) -> None:
        for name, text in _FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        parts = conninfo_to_dict(server.conninfo("warehouse"))
        around = {"PGHOST": str(parts["host"]), "PGUSER": str(parts["user"])}
        self._env = {**os.environ, **around, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        self._folder = folder

    def host(self) -> Times:
        """A command of the host's."""
        began = time.monotonic()
        dbt = hosts.HostedDbt(dbt_executable(), _COMMAND, cwd=self._folder, env=self._env, adapter="postgres")
        with dbt.output as output:
            said = output.readall()
        while (code := dbt.poll()) is None:
            time.sleep(0.001)
        return _checked(code, said, began, dbt.cpu)

    def fork(self) -> Times:
        """A fork of this process."""
        began = time.monotonic()
        read_end, write_end = os.pipe()
        request = {"arguments": [*_COMMAND], "cwd": str(self._folder), "env": self._env, "events": []}
        parent = os.getpid()
        sys.stdout.flush()
        if (pid := os.fork()) == 0:
            dbt_fork.become_dbt(request, write_end, parent)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as output:
            said = output.read()
        _, status, usage = os.wait4(pid, 0)
        return _checked(os.waitstatus_to_exitcode(status), said, began, usage.ru_utime + usage.ru_stime)

    def dbt(self) -> Times:
        """The command."""
        began = time.monotonic()
        command = [dbt_executable(), *_COMMAND]
        with subprocess.Popen(command, cwd=self._folder, env=self._env, stdout=subprocess.PIPE) as process:
            said = process.stdout.read() if process.stdout else b""
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        return _checked(process.returncode, said, began, usage.ru_utime + usage.ru_stime)


def _checked(code: int, said: bytes, began: float, cpu: float) -> Times:
    """The times of a command that has built the model.

    Raises:
        SystemExit: It has not.
    """
    if code != 0 or b"PASS=1" not in said:
        raise SystemExit(f"dbt ended with code {code}:\n{said.decode()}")
    return time.monotonic() - began, cpu


def measure(lab: Lab, *, repeat: int) -> dict[str, list[Times]]:
    """The times of each way; the ways take turns, in another order each round."""
    ways: dict[str, Callable[[], Times]] = {"host": lab.host, "fork": lab.fork, _YARDSTICK: lab.dbt}
    for way in ways.values():
        way()
    found: dict[str, list[Times]] = {name: [] for name in ways}
    for number in range(repeat):
        for name in random.Random(number).sample(list(ways), k=len(ways)):  # noqa: S311 - no secret
            found[name].append(ways[name]())
    return found


def _ready() -> dict[str, float]:
    """Start the host; the seconds until it can fork, and what it has used by then."""
    began = time.monotonic()
    before = set(psutil.Process().children())
    hosts.start_first_host()
    [host] = set(psutil.Process().children()) - before
    quiet = 0
    last = -1.0
    # It sleeps as soon as it waits for commands.
    while quiet < 3:
        times = host.cpu_times()
        now = times.user + times.system
        quiet, last = (quiet + 1, last) if now == last else (0, now)
        time.sleep(0.2)
    return {
        "seconds": time.monotonic() - began,
        "cpu_s": last,
        "memory_mb": host.memory_full_info().uss / 2**20,
    }


def main() -> None:
    """Generate, measure, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the medians here")
    options = parser.parse_args()
    record = Record()
    dbt_fork.load()
    dbt_fork.warm_up("postgres")
    with tempfile.TemporaryDirectory(prefix="goldsmith-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            ready = _ready()
            found = measure(Lab(Path(folder) / "project", server), repeat=options.repeat)
        finally:
            server.destroy()
    medians = {
        name: tuple(statistics.median(one[place] for one in times) for place in (0, 1))
        for name, times in found.items()
    }
    rows = [
        {
            "way": name,
            "seconds": wall,
            "cpu_s": cpu,
            "ratio": wall / medians[_YARDSTICK][0],
            "ratio_cpu": cpu / medians[_YARDSTICK][1],
            "all_seconds": [one[0] for one in found[name]],
        }
        for name, (wall, cpu) in medians.items()
    ]
    table = Table(title="dbt build of one model")
    for head in ("way", "seconds", "CPU seconds", "of dbt", "CPU of dbt"):
        table.add_column(head, justify="left" if head == "way" else "right")
    for row in rows:
        numbers = [f"{row[key]:.2f}" for key in ("seconds", "cpu_s", "ratio", "ratio_cpu")]
        table.add_row(str(row["way"]), *numbers)
    console = Console(width=100)
    console.print(table)
    console.print(
        f"A host is ready after {ready['seconds']:.1f} s and {ready['cpu_s']:.1f} CPU seconds, with "
        f"{ready['memory_mb']:.0f} MB of its own."
    )
    record.write(options.json, rows, until_ready=ready)


if __name__ == "__main__":
    main()
