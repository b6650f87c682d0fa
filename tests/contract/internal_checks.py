"""What names and signatures do not tell of the internals that Goldsmith uses: each says what is missing, or nothing."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Internal:
    """One use.

    Args:
        what: What is used, and for what.
        files: Where, below `include/goldsmith/`.
        names: `module:name` to what it has to have: parameters of a function, attributes of a class.
        check: Looks at what names do not tell; says what is missing, or nothing.
    """

    what: str
    files: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    check: Callable[[], str] = lambda: ""

    def missing(self) -> str:
        """What the installed version lacks, in words; empty if it has all."""
        for name, wanted in self.names.items():
            module, _, path = name.partition(":")
            try:
                found = attrgetter(path)(importlib.import_module(module))
            except (ImportError, AttributeError) as error:
                return f"{name} is gone ({error})"
            if lacking := [one for one in wanted if not has(found, one)]:
                return f"{name} has no {', '.join(lacking)}"
        return self.check()


def has(found: Any, wanted: str) -> bool:
    """Whether a function takes a parameter, or a class has an attribute or a field."""
    if inspect.isclass(found):
        return hasattr(found, wanted) or wanted in getattr(found, "__dataclass_fields__", ())
    return wanted in inspect.signature(found).parameters


def copies() -> str:
    """A task has what a copy of it changes."""
    from airflow.sdk import DAG, TaskGroup
    from airflow.sdk.definitions.decorators import task  # noqa: F401 - the constructor's bookkeeping is loaded
    from tests.contract.plain_task import PlainTask

    with DAG("one", schedule=None), TaskGroup("group"):
        made = vars(PlainTask(task_id="first"))
    wanted = ("_BaseOperator__init_kwargs", "_task_display_name", "_dag", "task_group", "upstream_task_ids")
    return ", ".join(f"a task has no attribute {one}" for one in wanted if one not in made)


def task_dict() -> str:
    """Tasks and edges of a DAG are plain values."""
    from airflow.sdk import DAG
    from tests.contract.plain_task import PlainTask

    with DAG("one", schedule=None) as dag:
        first, second = PlainTask(task_id="first"), PlainTask(task_id="second")
    if type(dag.task_dict) is not dict or list(dag.task_dict) != ["first", "second"]:
        return "DAG.task_dict is no plain dict in the order of the tasks"
    second.upstream_task_ids.add("first")
    first.downstream_task_ids.add("second")
    return "" if dag.get_task("second").upstream_list == [first] else "the ids in a task are not its edges"


def log_processors() -> str:
    """A logger has the list that is configured, and so has the formatter of what other libraries log."""
    code = (
        "import io, logging, structlog\n"
        "from airflow.sdk.log import configure_logging\n"
        "configure_logging(json_output=True, output=io.BytesIO(), sending_to_supervisor=True)\n"
        "one = structlog.get_config()['processors']\n"
        "two = [handler.formatter for handler in logging.getLogger().handlers]\n"
        "print(structlog.get_logger('x').bind()._processors is one is structlog.get_config()['processors'])\n"
        "print(any(isinstance(each, structlog.stdlib.ProcessorFormatter) for each in two))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return "" if done.stdout.split()[-2:] == ["True", "True"] else f"{done.stdout}{done.stderr[-500:]}"


def in_source(module: str, text: str) -> Callable[[], str]:
    """A module speaks of something: what no name or signature tells."""

    def check() -> str:
        source = inspect.getsource(importlib.import_module(module))
        return "" if text in source else f"{module} says nothing of {text}"

    return check


def dbt_results() -> str:
    """dbt's results have what is kept of them."""
    from dbt.artifacts.schemas.results import NodeResult, TimingInfo
    from dbt.cli.main import dbtRunnerResult

    wanted: dict[type, tuple[str, ...]] = {
        dbtRunnerResult: ("success", "exception", "result"),
        NodeResult: ("status", "timing", "execution_time", "adapter_response", "message", "failures", "node"),
        TimingInfo: ("started_at", "completed_at"),
    }
    gone = [f"{kind.__name__}.{one}" for kind, names in wanted.items() for one in names if not has(kind, one)]
    return f"dbt's results have no {', '.join(gone)}" if gone else ""


def time_in_id() -> str:
    """A new task instance's id begins with the present time."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.platform import getuser  # noqa: F401 - loads what the default needs

    made = TaskInstance.__table__.c.id.default.arg(None)
    seconds = (UUID(str(made)).int >> 80) / 1000
    return "" if abs(seconds - time.time()) < 60 else "a task instance's id does not begin with its time"


def read_afterwards() -> str:
    """Airflow reads time limit and outlets after a task's own code has run."""
    from airflow.sdk.execution_time import task_runner

    source = inspect.getsource(task_runner._execute_task)
    if not 0 <= source.find("task.pre_execute") < source.find("_run_execute_callable("):
        return "a task is executed before its pre_execute"
    if "execution_timeout" not in inspect.getsource(task_runner._run_execute_callable):
        return "the task's time limit is not read when it is executed"
    return (
        ""
        if "ti.task.outlets" in inspect.getsource(task_runner)
        else "the outlets of a task are not read at its end"
    )


def lengths() -> str:
    """Airflow's columns are as long as our limits say."""
    from airflow.models.dag import DagModel, DagTag
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.definitions._internal.node import validate_group_key

    found = {
        "ids of groups": inspect.signature(validate_group_key).parameters["max_length"].default,
        "task ids": TaskInstance.__table__.c.task_id.type.length,
        "owners": DagModel.__table__.c.owners.type.length,
        "tags": DagTag.__table__.c.name.type.length,
    }
    wanted = {"ids of groups": 200, "task ids": 250, "owners": 2000, "tags": 100}
    return ", ".join(
        f"{name} have {found[name]} characters, not {wanted[name]}"
        for name in wanted
        if found[name] != wanted[name]
    )


def stored_length() -> str:
    """The state store takes as much as a part of our state."""
    from airflow.configuration import conf

    limit, ours = conf.getint("state_store", "max_value_storage_bytes"), 60_000
    return "" if limit == 0 or limit > ours else f"the state store takes {limit} bytes, not {ours}"


def answer_of_a_person() -> str:
    """A task that waited for a person is given the answer under these keys."""
    from airflow.models.hitl import HITLDetail

    source = inspect.getsource(HITLDetail.as_resume_event_payload)
    wanted = ("chosen_options", "params_input", "responded_at", "responded_by_user")
    gone = [one for one in wanted if f'"{one}":' not in source]
    return f"the answer of a person has no {', '.join(gone)}" if gone else ""


def note_length() -> str:
    """A note may be as long as ours."""
    from airflow.api_fastapi.core_api.datamodels.dag_run import DAGRunPatchBody

    from goldsmith.rest.marking import NOTE_LENGTH

    found = [getattr(one, "max_length", None) for one in DAGRunPatchBody.model_fields["note"].metadata]
    return "" if NOTE_LENGTH in found else f"a note has at most {found} characters, not {NOTE_LENGTH}"
