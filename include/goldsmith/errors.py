"""Every error Goldsmith raises on purpose.

    GoldsmithError                   exit code
    ├── ConfigurationError           2   what the user wrote, or the dbt project, is not usable
    │   ├── SpecError                    a pipeline spec
    │   ├── ProjectError                 the dbt project on disk
    │   ├── ManifestError                target/manifest.json
    │   ├── SelectionError               a dbt selection that matches nothing
    │   ├── UnusableConnection           a connection or profile, as it is written; no retry helps
    │   └── PlanError                    the graph: order of layers, cycles, clashing ids
    ├── EnvironmentProblem           3   the machine: a server that does not start or answer
    │   ├── NoApiAccess                  a task has no credentials for Airflow's REST API
    │   ├── ApiRefused                   Airflow answered, and said no
    │   ├── WarehouseRefused             the warehouse said no to a login or a right; no retry helps
    │   ├── DbtStopped                   dbt did not come to all of its nodes
    │   ├── NoSuchTable                  a table, or its schema, is not in the warehouse
    │   ├── UnreadableResult             a file of results is damaged, or of a later Goldsmith
    │   └── MayPass                      a message was not taken now, and may be a little later
    ├── IngestError                  1   a raw file that cannot be loaded
    │   └── IngestBlocked                because somebody holds a lock; a retry may help
    └── NodeFailed                   1   nodes of a task failed, says dbt (in engine/task_end.py)

A message says what happened and what was looked at; the hint says what to do next.
Airflow ships exceptions between processes, so each survives pickling, with all that it says beside its message.
"""

from __future__ import annotations

from collections.abc import Mapping


class GoldsmithError(Exception):
    """Root of all errors raised on purpose.

    Args:
        message: What happened and what was looked at.
        hint: The command to run or the line to change; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, vars(self))


def _rebuild(
    kind: type[GoldsmithError], message: str, hint: str, facts: Mapping[str, object]
) -> GoldsmithError:
    error = kind(message, hint=hint)
    vars(error).update(facts)
    return error


class ConfigurationError(GoldsmithError):
    """Something the user wrote cannot be used as it is."""

    exit_code = 2


class SpecError(ConfigurationError):
    """A pipeline spec is not valid."""


class ProjectError(ConfigurationError):
    """The dbt project was not found or is not usable."""


class ManifestError(ConfigurationError):
    """The manifest is missing, unreadable or of another dbt version."""


class SelectionError(ConfigurationError):
    """A dbt selection matches no node."""


class UnusableConnection(ConfigurationError):  # noqa: N818 - what the user wrote
    """A connection to the warehouse cannot be used as it is written; trying again would end the same."""


class PlanError(ConfigurationError):
    """The nodes cannot be put in order: layers, cycles or clashing task ids."""


class EnvironmentProblem(GoldsmithError):  # noqa: N818 - `EnvironmentError` is a builtin
    """The machine, or a server that was named, does not do what is needed."""

    exit_code = 3


class NoApiAccess(EnvironmentProblem):
    """Nobody gave the tasks usable credentials for Airflow's REST API."""


class ApiRefused(EnvironmentProblem):
    """Airflow answered, and said no.

    Args:
        message: What was asked and what the answer was.
        hint: What to do next; may be empty.
        status: HTTP's.
        detail: What Airflow said of the reason.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, detail: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.detail = detail


class WarehouseRefused(EnvironmentProblem):
    """The warehouse refused a login, or a right; trying again would end the same."""


class DbtStopped(EnvironmentProblem):
    """dbt could not do its work, or was stopped."""


class NoSuchTable(EnvironmentProblem):
    """A statement names a table, or its schema, that is not there."""


class UnreadableResult(EnvironmentProblem):
    """A file of results is there, but it is damaged or of a later Goldsmith."""


class MayPass(EnvironmentProblem):
    """A message was not taken, and the same one may be taken a little later."""


class IngestError(GoldsmithError):
    """A raw file cannot be loaded."""


class IngestBlocked(IngestError):  # noqa: N818 - a state that passes
    """A raw file cannot be loaded now, because somebody holds a lock."""
