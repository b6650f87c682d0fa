"""Settings of Cosmos, and of the DAG around it, that are not taken over: what a person has to know of each."""

from __future__ import annotations

from collections.abc import Mapping

_SELF = "Goldsmith makes the manifest itself: goldsmith manifest."
_DBT_PROJECT = "dbt_project.yml says it."
_DEPS = "Tasks install no packages: run goldsmith deps where the image is built."
_LOCAL = "Goldsmith caches its plan beside the manifest, and needs no other cache."
_ALERTS = "Notifications are `alerts` in the spec: docs/alerts.md."
_ENV = "Set these variables for Airflow's components, or map them to a connection in `profile.env`."
_IDS = "Ids of tasks are Goldsmith's: layer, node, test. They are stable."
_IMAGE = "Tasks run dbt on Airflow's workers. For another environment write `dbt: /path/to/dbt`: docs/dbt-apart.md."
_FLAGS = "Write flags of dbt into `flags` of dbt_project.yml: docs/environment.md."
_PARTIAL = "dbt keeps what it parsed, and parses what has changed; `partial_parse` in `flags` turns that off."
_RUN = "It is a parameter of a run: goldsmith run, or the form of Trigger (docs/running.md)."
_WARNED = "A route of `alerts` with the event `test_warned`: docs/alerts.md."
_CALLBACK = "Results and artifacts are kept at the results path: docs/results.md."
_PAGE = "The page of the DAG has its own text and counts; write `description`."
_NODE = "For single nodes write it into `meta.cosmos.operator_kwargs`."
_TEST = "Every test is a task, and runs when all that it reads is built."
_TIMEOUT = "A build runs many nodes: `task_timeout` for the task, `node_timeout` for a node."
_LINEAGE = "Goldsmith has its own assets: `asset_namespace` in the spec."

NOTES: Mapping[str, str] = {
    "ProjectConfig.install_dbt_deps": _DEPS,
    "ProjectConfig.copy_dbt_packages": "Tasks read the packages where `goldsmith deps` puts them.",
    "ProjectConfig.models_relative_path": _DBT_PROJECT,
    "ProjectConfig.seeds_relative_path": _DBT_PROJECT,
    "ProjectConfig.snapshots_relative_path": _DBT_PROJECT,
    "ProjectConfig.manifest_path": _SELF,
    "ProjectConfig.manifest_conn_id": _SELF,
    "ProjectConfig.project_name": _DBT_PROJECT,
    "ProjectConfig.env_vars": _ENV,
    "ProjectConfig.partial_parse": _PARTIAL,
    "profile_mapping.disable_event_tracking": _FLAGS,
    "profile_mapping.dbt_config_vars": _FLAGS,
    "RenderConfig.emit_datasets": "Every model, seed and snapshot is an asset; `asset_namespace: null` for none.",
    "RenderConfig.load_method": _SELF,
    "RenderConfig.invocation_mode": _SELF,
    "RenderConfig.dbt_deps": _DEPS,
    "RenderConfig.node_converters": "Tasks of your own cannot replace those of nodes.",
    "RenderConfig.node_conversion_by_task_group": "Tasks of your own cannot replace those of nodes.",
    "RenderConfig.dbt_executable_path": "The plan is made by the same dbt that runs: `dbt` in the spec.",
    "RenderConfig.env_vars": _ENV,
    "RenderConfig.dbt_ls_path": _SELF,
    "RenderConfig.enable_mock_profile": "dbt parses with your profiles.yml, or with the profile of the connection.",
    "RenderConfig.group_nodes_by_folder": "Tasks are grouped by layer; nodes in no layer by folder.",
    "RenderConfig.source_pruning": "Only sources with freshness have tasks.",
    "RenderConfig.airflow_vars_to_purge_dbt_ls_cache": _LOCAL,
    "RenderConfig.airflow_vars_to_purge_dbt_yaml_selectors_cache": _LOCAL,
    "RenderConfig.normalize_task_id": _IDS,
    "RenderConfig.normalize_task_display_name": _IDS,
    "RenderConfig.should_detach_multiple_parents_tests": _TEST,
    "RenderConfig.enable_owner_inheritance": "Tasks have the owner of their node: `meta.owner`, or its dbt group.",
    "RenderConfig.ephemeral_models_as_empty_operator": "Ephemeral models have no task; edges go through them.",
    "ExecutionConfig.invocation_mode": "Goldsmith runs dbt as a process of its own.",
    "ExecutionConfig.test_indirect_selection": _TEST,
    "ExecutionConfig.install_dbt_deps": _DEPS,
    "ExecutionConfig.virtualenv_dir": _IMAGE,
    "ExecutionConfig.async_py_requirements": _IMAGE,
    "ExecutionConfig.setup_operator_args": "A build has the `retries`, `pool` and limits of the pipeline.",
    "on_warning_callback": _WARNED,
    "operator_args.install_deps": _DEPS,
    "operator_args.env": _ENV,
    "operator_args.append_env": "dbt always has the environment of Airflow's worker.",
    "operator_args.full_refresh": _RUN,
    "operator_args.dbt_cmd_flags": _FLAGS,
    "operator_args.dbt_cmd_global_flags": _FLAGS,
    "operator_args.no_version_check": _FLAGS,
    "operator_args.cache_selected_only": _FLAGS,
    "operator_args.fail_fast": "A failed node holds back what reads it, and nothing else.",
    "operator_args.warn_error": _FLAGS,
    "operator_args.quiet": _FLAGS,
    "operator_args.indirect_selection": _TEST,
    "operator_args.select": "Cosmos itself does not use it: it names the node of each task.",
    "operator_args.exclude": "Cosmos adds it to the command of each task; in a spec it is `exclude`.",
    "operator_args.selector": "Cosmos adds it to the command of each task; in a spec it is `select: selector:name`.",
    "operator_args.models": "Cosmos itself does not use it: it names the node of each task.",
    "operator_args.conn_id": "It has no effect in Cosmos either; the profile names the connection.",
    "operator_args.db_name": "It has no effect in Cosmos either.",
    "operator_args.output_encoding": "dbt's output is UTF-8.",
    "operator_args.skip_exit_code": "dbt's own results decide, node by node.",
    "operator_args.partial_parse": _PARTIAL,
    "operator_args.cancel_query_on_kill": "A task that is stopped has its query cancelled (docs/warehouses.md).",
    "operator_args.invocation_mode": "Goldsmith runs dbt as a process of its own.",
    "operator_args.copy_dbt_packages": "Tasks read the packages where `goldsmith deps` puts them.",
    "operator_args.manifest_filepath": _SELF,
    "operator_args.emit_datasets": _LINEAGE,
    "operator_args.cache_dir": _LOCAL,
    "operator_args.project_dir": "`project` in the spec is the folder of the dbt project.",
    "operator_args.profile_config": "`connection` and `profile` in the spec are the profile of all tasks.",
    "operator_args.extra_context": "No task of a node has a context of your own.",
    "operator_args.interceptors": "Variables of a run are its parameters: docs/running.md.",
    "operator_args.callback": _CALLBACK,
    "operator_args.callback_args": _CALLBACK,
    "operator_args.should_store_compiled_sql": "The compiled SQL of each node is kept, and one click from its task.",
    "operator_args.should_upload_compiled_sql": _CALLBACK,
    "operator_args.dbt_runner_callbacks": "dbt runs as a process, and no code of yours is in it.",
    "operator_args.queue": _NODE,
    "operator_args.priority_weight": _NODE,
    "operator_args.executor_config": _NODE,
    "operator_args.execution_timeout": _TIMEOUT,
    "operator_args.py_requirements": _IMAGE,
    "operator_args.py_system_site_packages": _IMAGE,
    "operator_args.pip_install_options": _IMAGE,
    "operator_args.virtualenv_dir": _IMAGE,
    "operator_args.is_virtualenv_dir_temporary": _IMAGE,
    "operator_args.image": _IMAGE,
    "operator_args.on_warning_callback": _WARNED,
    "default_args.email": _ALERTS,
    "default_args.email_on_failure": _ALERTS,
    "default_args.email_on_retry": _ALERTS,
    "default_args.retry_exponential_backoff": "The delay between retries always doubles, up to `retries.max_delay`.",
    "default_args.depends_on_past": "There is nothing like it; runs follow each other (`max_active_runs`).",
    "default_args.execution_timeout": _TIMEOUT,
    "default_args.sla": "Write `deadlines` in the spec.",
    "default_args.queue": _NODE,
    "default_args.priority_weight": _NODE,
    "DAG.doc_md": _PAGE,
    "DAG.dag_display_name": _PAGE,
    "DAG.params": "The form of Trigger has parameters of its own: docs/running.md.",
    "DAG.max_active_tasks": "One build runs `profile.threads` nodes at once; a `pool` limits tasks.",
    "DAG.concurrency": "One build runs `profile.threads` nodes at once; a `pool` limits tasks.",
    "DAG.end_date": "A pipeline has no end date; delete its DAG file, or write `schedule: null`.",
    "DAG.template_searchpath": "Nothing in a pipeline is a template of Airflow.",
    "DAG.render_template_as_native_obj": "Nothing in a pipeline is a template of Airflow.",
    "DAG.user_defined_macros": "Nothing in a pipeline is a template of Airflow.",
    "DAG.user_defined_filters": "Nothing in a pipeline is a template of Airflow.",
    "DAG.access_control": "Give rights on the DAG in Airflow.",
    "DAG.deadline": "Write `deadlines` in the spec.",
    "DAG.sla_miss_callback": "Write `deadlines` in the spec.",
}
"""Setting to one sentence. Whatever its value is, it is not looked at."""

SILENT = frozenset(
    (
        *("DAG.dag_id", "DAG.default_view", "DAG.orientation", "DAG.is_paused_upon_creation"),
        *("DbtTaskGroup.group_id", "DbtTaskGroup.tooltip", "DbtTaskGroup.prefix_group_id"),
        *("DbtTaskGroup.parent_group", "DbtTaskGroup.ui_color", "DbtTaskGroup.ui_fgcolor"),
        *(
            "profile_mapping",
            "ProfileConfig.profile_name",
            "ProjectConfig.dbt_project_path",
            "ExecutionConfig.dbt_project_path",
        ),
        "RenderConfig.dbt_project_path",
    )
)
"""Settings of which there is nothing to say."""


def note_on(setting: str) -> str:
    """What a person has to know of a setting that is not taken over."""
    if setting.endswith("_callback") and setting not in NOTES:
        return _ALERTS
    return NOTES.get(setting, "Goldsmith has nothing like it; look whether the pipeline needs it.")
