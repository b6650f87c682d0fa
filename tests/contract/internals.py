"""What Goldsmith uses of Airflow, Cosmos and dbt that they do not promise to keep; docs/architecture.md shows it."""

from __future__ import annotations

from tests.contract.internal_checks import (
    Internal,
    answer_of_a_person,
    copies,
    dbt_results,
    in_source,
    lengths,
    log_processors,
    note_length,
    read_afterwards,
    stored_length,
    task_dict,
    time_in_id,
)

PROMISED = (
    "airflow.configuration",
    "airflow.providers",
    "airflow.sdk",
    "airflow.sdk.definitions.callback",
    "airflow.sdk.exceptions",
    "airflow.sdk.log",
    "airflow.sdk.plugins_manager",
    "cosmos.config",
    "cosmos.constants",
    "cosmos.exceptions",
    "cosmos.profiles",
)
"""Modules whose names their makers document."""
VIEW_SECURITY = "airflow.api_fastapi.core_api.security"

TASK_INSTANCE = (
    *("id", "dag_id", "run_id", "task_id", "map_index", "state", "try_number"),
    *("start_date", "end_date", "duration", "updated_at"),
)
INTERNALS = (
    Internal(
        what="tasks are copies of one another, made past the constructor of `BaseOperator`",
        files=("dag/copies.py",),
        names={"airflow.sdk.definitions.param:ParamsDict": ()},
        check=copies,
    ),
    Internal(
        what="`DAG.task_dict` and the ids in `upstream_task_ids` and `downstream_task_ids` are a DAG's tasks and edges",
        files=("dag/wiring.py", "dag/last_tasks.py", "dag/build.py"),
        check=task_dict,
    ),
    Internal(
        what="Airflow's own hash of a serialised DAG, and its import of a DAG file, for `goldsmith check`",
        files=("dag/probe.py",),
        names={
            "airflow.dag_processing.dagbag:DagBag": ("get_dag",),
            "airflow.models.serialized_dag:SerializedDagModel.hash": ("dag_data",),
            "airflow.serialization.serialized_objects:DagSerialization.to_dict": (),
        },
    ),
    Internal(
        what="which files of the dags folder Airflow reads",
        files=("dag/unread_files.py",),
        names={
            "airflow.utils.file:list_py_file_paths": ("directory", "safe_mode"),
            "airflow.utils.file:might_contain_dag": ("file_path", "safe_mode"),
        },
    ),
    Internal(
        what="a deadline by the clock is a reference of Goldsmith's own, which Airflow evaluates when it makes a run",
        files=("dag/clock.py", "dag/deadlines.py"),
        names={
            "airflow.sdk.definitions.deadline:BaseDeadlineReference": (
                *("serialize_reference", "deserialize_reference"),
            ),
            "airflow.sdk.definitions.deadline:DeadlineAlert": (),
            "airflow.sdk.definitions.deadline:DeadlineReference": ("DAGRUN_QUEUED_AT",),
            "airflow.models:DagRun": ("run_after", "run_type"),
            "airflow.utils.types:DagRunType": ("BACKFILL_JOB",),
        },
        check=in_source("airflow.serialization.definitions.deadline", "_evaluate_with"),
    ),
    Internal(
        what="`DAGNode.get_upstreams_only_setups` is replaced in the scheduler",
        files=("tuning/scheduling.py",),
        names={"airflow.serialization.definitions.node:DAGNode": ("get_upstreams_only_setups", "get_dag")},
    ),
    Internal(
        what="dbt is loaded in a process that forks for each command; what it keeps of a command is dropped",
        files=("inside_dbt/dbt_fork.py",),
        names={
            "dbt.cli.main:dbtRunner.invoke": ("args",),
            "dbt.adapters.factory:reset_adapters": (),
            "dbt.events.logging:get_stdout_config": ("line_format",),
            "dbt.cli.main:cli": (),
        },
    ),
    Internal(
        what="several dbt commands run in one process, from one manifest",
        files=("inside_dbt/resident.py",),
        names={
            "dbt.cli.main:dbtRunner.__init__": ("manifest",),
            "dbt.contracts.graph.manifest:Manifest": ("nodes",),
        },
        check=dbt_results,
    ),
    Internal(
        what="a task instance's id is a UUID of version 7, whose first 48 bits say when Airflow made the try",
        files=("engine/shared/node_task.py",),
        check=time_in_id,
    ),
    Internal(
        what="`max_tries` of a task rises if somebody clears it, and tells a clear from a retry",
        files=("engine/build_state.py", "engine/shared/build.py", "engine/gate/asking.py"),
        check=in_source("airflow.models.taskinstance", "ti.max_tries ="),
    ),
    Internal(
        what="`execution_timeout` and `outlets` may be set by a task itself: Airflow reads them afterwards",
        files=(
            *("engine/shared/build.py", "engine/shared/node_task.py", "engine/shared/reconcile.py"),
            *("engine/gate/task.py", "engine/isolated/node_task.py", "ingest/task_group.py"),
        ),
        check=read_afterwards,
    ),
    Internal(
        what="the callback of a deadline gets the run as plain values",
        files=("notify/deadlines.py",),
        check=in_source("airflow.models.deadline", '"dag_run"'),
    ),
    Internal(
        what="the state store of another task is read by its route",
        files=("client/said.py",),
        check=in_source("airflow.api_fastapi.core_api.routes.public.task_state_store", "/{key"),
    ),
    Internal(
        what="Alembic's table of versions shows whether Airflow's tables exist",
        files=("stack/metadata.py",),
        check=in_source("airflow.utils.db", "alembic_version"),
    ),
    Internal(
        what="lengths that Airflow's columns have: ids, groups, tags, owners",
        files=("plan/names.py", "plan/groups.py", "dag/build.py"),
        check=lengths,
    ),
    Internal(
        what="profile mappings of Cosmos, and a profile of its own that makes no file of secrets",
        files=("dbt/profile.py",),
        names={
            "cosmos.profiles:BaseProfileMapping": (
                *("mapped_params", "filter_null", "required_fields", "secret_fields", "get_dbt_value"),
                *("airflow_connection_type", "airflow_param_mapping", "dbt_profile_type"),
            ),
            "cosmos.config:ProfileConfig": ("__post_init__", "ensure_profile"),
        },
    ),
    Internal(
        what="`RuntimeTaskInstance.get_task_states` tells a task the states of its run",
        files=("engine/task_states.py",),
        names={
            "airflow.sdk.execution_time.task_runner:RuntimeTaskInstance.get_task_states": (
                *("dag_id", "task_ids", "run_ids"),
            )
        },
    ),
    Internal(
        what="`upsert_hitl_detail` asks a person, and `TaskAwaitingInput` waits without a worker",
        files=("engine/gate/asking.py",),
        names={
            "airflow.sdk.execution_time.hitl:upsert_hitl_detail": (
                *("ti_id", "options", "subject", "body", "params"),
            ),
            "airflow.sdk.exceptions:TaskAwaitingInput": (),
        },
        check=answer_of_a_person,
    ),
    Internal(
        what="a value in the state store has at most 64 KiB",
        files=("engine/build_state.py", "engine/packed.py"),
        check=stored_length,
    ),
    Internal(
        what="a task may ask for the state of another run",
        files=("ingest/task_group.py",),
        names={
            "airflow.sdk.execution_time.task_runner:RuntimeTaskInstance.get_dagrun_state": (
                "dag_id",
                "run_id",
            )
        },
    ),
    Internal(
        what="the verdict that a build sends is serialised as a task's return value",
        files=("engine/shared/early_gate.py",),
        names={
            "airflow.sdk.execution_time.xcom:XCom.serialize_value": (
                *("value", "key", "task_id", "dag_id", "run_id"),
            )
        },
    ),
    Internal(
        what="rows of Airflow's tables are read and written by the routes of the plugin",
        files=(
            "view/app.py",
            "view/assets.py",
            "view/compared.py",
            "view/marks.py",
            "view/pass_gate.py",
            "view/reports.py",
            "view/why_missing.py",
        ),
        names={
            "airflow.models.xcom:XComModel": (
                "dag_id",
                "run_id",
                "task_id",
                "key",
                "value",
                "deserialize_value",
            ),
            "airflow.models.taskinstance:TaskInstance": TASK_INSTANCE,
            "airflow.models.dagrun:DagRun": ("dag_id", "run_id", "partition_key"),
            "airflow.models.log:Log": ("event", "dag_id", "run_id", "owner", "owner_display_name", "extra"),
            "airflow.models.asset:AssetEvent": (
                "asset_id",
                "source_dag_id",
                "source_task_id",
                "source_run_id",
            ),
            "airflow.models.asset:AssetModel": ("id", "uri"),
            "airflow.models.asset:DagScheduleAssetNameReference": (),
            "airflow.models.asset:DagScheduleAssetUriReference": (),
            "airflow.models.asset:TaskOutletAssetReference": ("asset_id", "dag_id"),
            "airflow.utils.state:TaskInstanceState": ("SUCCESS", "SKIPPED", "FAILED"),
            "airflow.api_fastapi.common.db.common:SessionDep": (),
        },
    ),
    Internal(
        what="a gate that passes without a task leaves its return value and its state store as the task would",
        files=("view/pass_gate.py",),
        names={
            "airflow.models.xcom:XComModel.set": (
                "key",
                "value",
                "dag_id",
                "task_id",
                "run_id",
                "serialize",
                "session",
            ),
            "airflow.state:get_state_backend": (),
            "airflow._shared.state:TaskScope": ("dag_id", "run_id", "task_id", "map_index"),
        },
    ),
    Internal(
        what="the routes of the plugin ask Airflow who may do what, and tell its listeners of a task's success",
        files=("view/app.py", "view/assets.py", "view/marks.py", "view/reports.py"),
        names={
            f"{VIEW_SECURITY}:requires_access_dag": ("method", "access_entity"),
            f"{VIEW_SECURITY}:GetUserDep": (),
            "airflow.api_fastapi.auth.managers.models.resource_details:DagAccessEntity": (
                "TASK_INSTANCE",
                "TASK_LOGS",
            ),
            "airflow.listeners.listener:get_listener_manager": (),
            "airflow._shared.listeners.spec.taskinstance:on_task_instance_success": (
                "previous_state",
                "task_instance",
            ),
            "airflow.listeners.spec.asset:on_asset_changed": ("asset",),
            "airflow.listeners.spec.asset:on_asset_event_emitted": ("asset_event",),
        },
    ),
    Internal(
        what="Airflow's audit log names who marked a task, under the names of these routes",
        files=("rest/marking.py",),
        names={
            "airflow.api_fastapi.core_api.routes.public.task_instances:patch_task_instance": (),
            "airflow.api_fastapi.core_api.routes.public.task_instances:patch_task_group_instances": (
                "group_id",
            ),
        },
        check=in_source("airflow.api_fastapi.logging.decorators", "**request.path_params"),
    ),
    Internal(
        what="a note has at most 1,000 characters",
        files=("rest/marking.py",),
        check=note_length,
    ),
    Internal(
        what="`_AIRFLOW_PROCESS_CONTEXT` tells a process that Airflow started for DAG files or a task",
        files=("settings.py",),
        check=in_source("airflow.sdk.execution_time.supervisor", "_AIRFLOW_PROCESS_CONTEXT"),
    ),
    Internal(
        what="the log processors of a task's process are lists that its loggers share: one more masks before the last",
        files=("masking.py",),
        names={"structlog:get_config": (), "structlog.stdlib:ProcessorFormatter.__init__": ("processors",)},
        check=log_processors,
    ),
    Internal(
        what="`_AIRFLOW__AS_LIBRARY` lets a process import Airflow without what it prepares for tasks",
        files=("pipelines/find.py",),
        check=in_source("airflow", "_AIRFLOW__AS_LIBRARY"),
    ),
    Internal(
        what="Cosmos's `DbtGraph` reads the manifest; functions, which it leaves out, are made as its `DbtNode`",
        files=("dbt/manifest.py",),
        names={
            "cosmos.dbt.graph:DbtGraph.load": ("method", "execution_mode"),
            "cosmos.dbt.graph:DbtGraph.__init__": ("project", "render_config", "execution_config"),
            "cosmos.dbt.graph:DbtNode": (
                *(
                    "unique_id",
                    "resource_type",
                    "depends_on",
                    "path_base",
                    "original_file_path",
                    "package_name",
                ),
                *("tags", "config", "fqn"),
            ),
            "airflow:version": (),
        },
    ),
    Internal(
        what="Cosmos's cache folder, and its way to copy a file whole",
        files=("engine/dbt/workspace.py",),
        names={"cosmos:settings": (), "cosmos.fs:safe_copy": ()},
        check=in_source("cosmos.settings", "cache_dir"),
    ),
)


def table() -> str:
    """The uses as docs/architecture.md has them."""
    rows = [f"| {one.what} | {', '.join(f'`{file}`' for file in one.files)} |" for one in INTERNALS]
    return "\n".join(["| use | where |", "|---|---|", *rows])
