"""A DAG of Cosmos as keys of a pipeline spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from goldsmith.adopt.cosmos_dags import SECRET, CosmosDag
from goldsmith.adopt.cosmos_settings import SILENT, note_on
from goldsmith.adopt.literals import Asset, Cron, Named, below
from goldsmith.errors import SpecError
from goldsmith.spec.pipeline import Pipeline

_TEMPLATE = "{{"
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_STEPS = {
    timedelta(minutes=1): "* * * * *",
    timedelta(hours=1): "@hourly",
    timedelta(days=1): "@daily",
    timedelta(weeks=1): "@weekly",
}
_SOURCES = "RenderConfig.source_rendering_behavior"
_BEHAVIOURS: Mapping[str, Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "test_behavior": {
        "NONE": ({"exclude_resource_types": ["test", "unit_test"]}, ""),
        "AFTER_ALL": ({}, "Tests run when their models are built, and what reads a model waits for them."),
        "BUILD": ({}, "Each test has a task. `tasks: model` makes one task of a model with its tests."),
    },
    "seed_rendering_behavior": {
        "NONE": ({"exclude_resource_types": ["seed"]}, ""),
        "RENDER_ONLY": ({"exclude_resource_types": ["seed"]}, "Seeds that are not loaded have no task."),
        "WHEN_SEED_CHANGES": ({}, "Seeds are loaded in every run."),
    },
    "source_rendering_behavior": {
        "NONE": ({"freshness": "off"}, ""),
        "ALL": ({}, "Sources without freshness have no task of their own."),
    },
}


@dataclass(kw_only=True)
class SpecValues:
    """Keys of a spec, and what a person has to know or to write."""

    keys: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """Setting that is not taken over, or not as it is, to one sentence."""
    computed: dict[str, str] = field(default_factory=dict)
    """Setting that a person has to write, because it is no literal, to where it stands: `dags/shop.py:12`."""


def spec_values(dag: CosmosDag, root: Path) -> SpecValues:
    """The keys of a spec that follow from a DAG of Cosmos; each is valid.

    Args:
        dag: As it is written.
        root: The repository, from which paths in a spec start.
    """
    found = SpecValues()
    for setting, value in dag.settings.items():
        if setting in _TAKEN:
            _TAKEN[setting](value, found, root)
        elif setting not in SILENT and not setting.startswith(_ARGUMENTS):
            found.notes[setting] = note_on(setting)
    _take_profile(dag, found)
    _take_vars(dag, found)
    for setting, place in dag.not_literal.items():
        if _matters(setting):
            shown = place.file.relative_to(root) if place.file.is_relative_to(root) else place.file
            found.computed[setting] = f"{shown}:{place.line}"
        elif setting not in SILENT:
            found.notes[setting] = note_on(setting)
    _take_absent(dag, found)
    _keep_valid(found)
    return found


def _matters(setting: str) -> bool:
    """Whether a setting would give a key of the spec, or is a whole config."""
    return (
        setting in _TAKEN
        or setting.startswith(_ARGUMENTS)
        or setting in _WHOLE
        or " (" in setting
        or setting.endswith((".dbt_project_path", ".dag_id"))
    )


def _plain(key: str) -> Callable[[Any, SpecValues, Path], None]:
    def take(value: Any, found: SpecValues, _: Path) -> None:
        if value not in (None, "", []):
            found.keys[key] = value

    return take


def _take_schedule(value: Any, found: SpecValues, _: Path) -> None:
    assets = [one.uri for one in value if isinstance(one, Asset)] if isinstance(value, list) else []
    if isinstance(value, Asset) or assets:
        found.keys["after"] = assets or [value.uri]
        return
    if isinstance(value, Cron):
        if value.zone.upper() not in ("UTC", "ETC/UTC"):
            found.notes["DAG.schedule"] = _zone_note(value.zone)
        value = value.expression
    if isinstance(value, timedelta):
        found.notes["DAG.schedule"] = "It counts from start_date; a pipeline runs by the clock, in UTC."
        if (cron := _cron_of(value)) is None:
            found.notes["DAG.schedule"] = f"No cron expression runs every {value}; write a `schedule`."
            return
        value = cron
    found.keys["schedule"] = value


def _cron_of(step: timedelta) -> str | None:
    if step in _STEPS:
        return _STEPS[step]
    minutes, rest = divmod(step, timedelta(minutes=1))
    if rest or not minutes:
        return None
    if minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *"
    hours, rest_minutes = divmod(minutes, 60)
    return f"0 */{hours} * * *" if not rest_minutes and hours < 24 and 24 % hours == 0 else None


def _zone_note(zone: str) -> str:
    return f"Its time zone is {zone}; the schedule of a pipeline is in UTC, so correct the hours."


def _take_start(value: Any, found: SpecValues, _: Path) -> None:
    if isinstance(value, datetime):
        zone = str(value.tzinfo or "UTC")
        if zone.upper() not in ("UTC", "ETC/UTC"):
            found.notes["DAG.start_date"] = _zone_note(zone)
        value = value.date()
    if isinstance(value, date):
        found.keys["start_date"] = value


def _take_retries(value: Any, found: SpecValues, _: Path) -> None:
    if isinstance(value, int) and not isinstance(value, bool):
        found.keys.setdefault("retries", {})["models"] = value
        if value:
            found.notes["default_args.retries"] = (
                "Tests are not retried; for that write `tests` into `retries`."
            )


def _take_delay(value: Any, found: SpecValues, _: Path) -> None:
    if isinstance(value, int | float):
        value = timedelta(seconds=value)
    if isinstance(value, timedelta) and value >= timedelta(0):
        found.keys.setdefault("retries", {})["delay"] = duration(value)


def _take_run_timeout(value: Any, found: SpecValues, _: Path) -> None:
    if isinstance(value, timedelta):
        found.keys["run_timeout"] = duration(value)


def duration(value: timedelta) -> str:
    """A length of time as it is written in a spec."""
    seconds = int(value.total_seconds())
    return next(f"{seconds // size}{unit}" for unit, size in _UNITS if seconds % size == 0)


def _take_selection(key: str) -> Callable[[Any, SpecValues, Path], None]:
    def take(value: Any, found: SpecValues, _: Path) -> None:
        terms = [str(one) for one in ([value] if isinstance(value, str) else value or [])]
        if terms and key == "exclude" and "package:elementary" not in terms:
            terms.append("package:elementary")
        if terms:
            found.keys[key] = terms

    return take


def _take_selector(value: Any, found: SpecValues, _: Path) -> None:
    if value:
        found.keys["select"] = [f"selector:{value}"]


def _take_dbt(value: Any, found: SpecValues, root: Path) -> None:
    path = Path(str(value))
    if str(value) != "dbt":
        found.keys["dbt"] = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _take_mode(value: Any, found: SpecValues, _: Path) -> None:
    mode = value.last if isinstance(value, Named) else str(value)
    if mode not in ("LOCAL", "WATCHER"):
        found.notes["ExecutionConfig.execution_mode"] = (
            f"{mode}: tasks run dbt on Airflow's workers; `dbt` in the spec names one of another environment."
        )


def _take_behaviour(name: str) -> Callable[[Any, SpecValues, Path], None]:
    def take(value: Any, found: SpecValues, _: Path) -> None:
        keys, note = _BEHAVIOURS[name].get(str(getattr(value, "last", value)).upper(), ({}, ""))
        for key, one in keys.items():
            there = found.keys.get(key)
            found.keys[key] = [*there, *one] if isinstance(there, list) else one
        if note:
            found.notes[f"RenderConfig.{name}"] = note

    return take


def _take_profiles_file(value: Any, found: SpecValues, root: Path) -> None:
    written = Path(str(value))
    there = [
        path for path in (written, *below(written, root)) if path.is_file() and path.is_relative_to(root)
    ]
    if there:
        found.keys["profile"] = {"file": str(there[0].relative_to(root))}
    else:
        found.notes["ProfileConfig.profiles_yml_filepath"] = f"{value} is not in this repository."


def _take_schema(value: Any, found: SpecValues, _: Path) -> None:
    found.keys.setdefault("profile", {}).setdefault("schema", value)


def _ignored(_value: Any, _found: SpecValues, _root: Path) -> None:
    """What other settings are read with."""


_ARGUMENTS = ("profile_args.", "operator_args.vars", "ProjectConfig.dbt_vars")
_WHOLE = (
    *("ProjectConfig", "ProfileConfig", "RenderConfig", "ExecutionConfig"),
    *("profile_mapping", "profile_args", "operator_args", "default_args"),
)
_TAKEN: Mapping[str, Callable[[Any, SpecValues, Path], None]] = {
    "DAG.schedule": _take_schedule,
    "DAG.timetable": _take_schedule,
    "DAG.start_date": _take_start,
    "default_args.start_date": _take_start,
    "DAG.catchup": _plain("catchup"),
    "DAG.tags": _plain("tags"),
    "DAG.description": _plain("description"),
    "DAG.max_active_runs": _plain("max_active_runs"),
    "DAG.dagrun_timeout": _take_run_timeout,
    "DAG.owner": _plain("owner"),
    "default_args.owner": _plain("owner"),
    "default_args.retries": _take_retries,
    "default_args.retry_delay": _take_delay,
    "default_args.pool": _plain("pool"),
    "operator_args.retries": _take_retries,
    "operator_args.retry_delay": _take_delay,
    "operator_args.pool": _plain("pool"),
    "operator_args.schema": _take_schema,
    "operator_args.dbt_executable_path": _take_dbt,
    "RenderConfig.select": _take_selection("select"),
    "RenderConfig.exclude": _take_selection("exclude"),
    "RenderConfig.selector": _take_selector,
    **{f"RenderConfig.{name}": _take_behaviour(name) for name in _BEHAVIOURS},
    "ExecutionConfig.execution_mode": _take_mode,
    "ExecutionConfig.dbt_executable_path": _take_dbt,
    "ProfileConfig.target_name": _plain("target"),
    "ProfileConfig.profiles_yml_filepath": _take_profiles_file,
    "profile_mapping.conn_id": _plain("connection"),
}


def taken_settings() -> frozenset[str]:
    """The settings that give keys of a spec."""
    return frozenset({*_TAKEN, *(one.rstrip(".") for one in _ARGUMENTS)})


def _take_profile(dag: CosmosDag, found: SpecValues) -> None:
    """The arguments beside a connection."""
    if "connection" not in found.keys:
        return
    profile: dict[str, Any] = found.keys.get("profile", {})
    for setting, value in dag.settings.items():
        head, _, key = setting.partition(".")
        if head != "profile_args" or value is None:
            continue
        if SECRET.search(key):
            found.notes[setting] = "It may be a secret, which belongs into the Airflow connection."
        elif key in ("schema", "threads"):
            profile[key] = value
        elif isinstance(value, str | int | bool):
            profile.setdefault("extra", {})[key] = value
        else:
            found.notes[setting] = "`profile.extra` holds texts, numbers and true or false alone."
    if "schema" not in profile and "profile_args.schema" not in dag.not_literal:
        found.notes["profile_args.schema"] = (
            "The DAG file has none, and in a spec it is `analytics`: write `profile: {schema: ...}`."
        )
    if profile:
        found.keys["profile"] = profile


def _take_vars(dag: CosmosDag, found: SpecValues) -> None:
    """dbt variables: those of operator_args replace those of the project, as in Cosmos."""
    head = next((one for one in _ARGUMENTS[1:] if dag.settings.get(one)), "")
    written = dag.settings.get(head) or {}
    taken: dict[str, Any] = {}
    for key, value in written.items() if isinstance(written, dict) else ():
        if _TEMPLATE in str(value):
            found.notes[f"{head}.{key}"] = (
                "It is a template of Airflow; give it to a run as a parameter, or use `window`: docs/running.md."
            )
        elif SECRET.search(str(key)):
            found.notes[f"{head}.{key}"] = "It may be a secret; let the project read it by env_var()."
        else:
            taken[str(key)] = value
    if taken:
        found.keys["vars"] = taken


def _take_absent(dag: CosmosDag, found: SpecValues) -> None:
    """What a DAG means by what it does not say, if that is other than in a spec."""
    known = {*dag.settings, *dag.not_literal}
    if not known & {"DAG.schedule", "DAG.timetable", "DAG (around the group)", "DAG (**)", "DbtDag (**)"}:
        found.keys["schedule"] = None
    if not known & {_SOURCES, "RenderConfig", "RenderConfig (**)"}:
        found.keys["freshness"] = "off"


def _keep_valid(found: SpecValues) -> None:
    """Leave out what a spec does not take, and say why."""
    for key in [*found.keys]:
        try:
            Pipeline.parse({"name": "any", "layers": {}, key: found.keys[key]})
        except SpecError as error:
            del found.keys[key]
            found.notes[key] = error.message.splitlines()[-1].strip().removeprefix(f"{key}: ")
