"""Wait until Airflow has parsed a DAG as it is now."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.rest import Dag, ImportFailure, RestClient

PARSE_TIMEOUT = 180.0


def wait_until_parsed(
    api: RestClient, dag_id: str, dags_dir: Path, *, changed: datetime | None, file: Path | None = None
) -> Dag:
    """Wait until Airflow has parsed the DAG as it is now.

    Args:
        api: Airflow.
        dag_id: The DAG.
        dags_dir: The folder of its file, to tell its import errors from others'.
        changed: When its file, spec or manifest last changed; None to take the DAG as it is.
        file: The DAG file; None where only Airflow knows it.

    Raises:
        ConfigurationError: Airflow cannot import the DAG file.
        EnvironmentProblem: It takes too long.
    """
    deadline = time.monotonic() + PARSE_TIMEOUT
    has_asked = False
    while time.monotonic() < deadline:
        dag = api.dag(dag_id)
        since = changed or datetime.min.replace(tzinfo=UTC)
        broken = [
            one
            for one in api.import_errors()
            if one.time and one.time > since and _is_of(one, dags_dir, dag, file)
        ]
        if broken:
            raise _import_problem(broken[0])
        if dag and not dag.is_stale and not dag.has_import_errors and (dag.last_parsed or since) >= since:
            return dag
        if dag and not has_asked:
            api.parse_now(dag)
            has_asked = True
        time.sleep(0.5)
    raise EnvironmentProblem(
        f"Airflow has not parsed the DAG {dag_id} within {PARSE_TIMEOUT:.0f} seconds.",
        hint="goldsmith logs dag-processor",
    )


def _is_of(failure: ImportFailure, dags_dir: Path, dag: Dag | None, file: Path | None) -> bool:
    """Whether an import error is that of the DAG's file."""
    own = {file, Path(dag.file) if dag else None}
    return bool(own & {dags_dir / failure.file, Path(failure.file)})


def _import_problem(failure: ImportFailure) -> ConfigurationError:
    lines = [line for line in failure.stack_trace.strip().splitlines() if line.strip()]
    # The last frame and the message; the frames above are Airflow's and Goldsmith's own.
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    shown = lines[frames[-1] :] if frames else lines
    return ConfigurationError(
        f"Airflow cannot import {failure.file}:\n" + "\n".join(shown[-12:]), hint="goldsmith check"
    )
