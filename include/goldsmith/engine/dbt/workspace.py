"""What a dbt command of a pipeline needs around it: profile, private target folder, exact selection."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from goldsmith.dbt.environment import overridden, settings_of
from goldsmith.dbt.flags import fails_fast, warn_error_arguments
from goldsmith.dbt.parse import PARTIAL_PARSE, variable_arguments
from goldsmith.dbt.process import DbtProcess
from goldsmith.engine.dbt.retried import (
    ENTRY,
    RETRY,
    results_document,
    results_to_retry,
    settings_to_retry,
    variables_to_retry,
)
from goldsmith.masking import hide_variables
from goldsmith.plan.model import PlannedNode
from goldsmith.profile_file import OPTIONS_VARIABLE, ProfileFile
from goldsmith.results.microbatch import Microbatches
from goldsmith.spec.run import RunOptions
from goldsmith.spec.yaml_file import read_yaml

if TYPE_CHECKING:
    from goldsmith.dbt.profile import ConnectionProfile, FileProfile

log = logging.getLogger(__name__)

# Cosmos is imported where it is used: a DAG file is parsed without it.

SESSION_VARIABLE = "PGAPPNAME"
"""libpq takes the name of a session from here, so that profile and parsed project stay the same for every run."""

_FLAGS = (
    *("--no-version-check", "--no-use-colors", "--no-quiet", "--no-write-json"),
    *("--log-format", "json", "--log-level", "debug", "--log-level-file", "none"),
)
_MANY_NODES = ("--cache-selected-only",)
_ONE_NODE = ("--no-populate-cache",)  # it does not need a list of every relation in its schema

THOSE = "result:success"
"""The selection that means the nodes which `write_results` names with the status `success`."""


def write_results(folder: Path, statuses: Mapping[str, str]) -> None:
    """Write the run_results.json that `result:` in a selection reads.

    Args:
        folder: What dbt is given as `--state`.
        statuses: Unique id to dbt's status.
    """
    entries = [{**ENTRY, "unique_id": uid, "status": status} for uid, status in statuses.items()]
    write_state(folder, results_document(entries, settings={}))


def write_state(folder: Path, document: Mapping[str, Any]) -> None:
    """Write a run_results.json into the folder that dbt is given as `--state`."""
    folder.mkdir(exist_ok=True)
    (folder / "run_results.json").write_text(json.dumps(document), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class DbtTarget:
    """The dbt project, and where and how its commands run."""

    dag_id: str
    project_dir: Path
    profile_name: str
    target: str
    connection: str
    profile_args: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)
    """dbt variables of all its commands."""
    parsed_dir: Path | None = None
    """Where what dbt parsed lies beside the manifest."""
    dbt: str = ""
    """The dbt command, see `goldsmith.dbt.executable`; empty for that of this environment."""

    def profile(self, *, name: str = "", schema: str = "") -> ConnectionProfile | FileProfile:
        """dbt's profile, from the Airflow connection.

        Args:
            name: Of the profile, where it is not the project's.
            schema: dbt's target schema, where it is not the pipeline's.
        """
        from goldsmith.dbt.profile import profile_config

        return profile_config(
            profile_name=name or self.profile_name,
            target_name=self.target,
            conn_id=self.connection,
            profile_args={**self.profile_args, **({"schema": schema} if schema else {})},
        )

    @property
    def cache_dir(self) -> Path:
        """Where what dbt parsed is kept from one command to the next."""
        from cosmos import settings

        return Path(settings.cache_dir) / self.dag_id

    @property
    def writes_to(self) -> str:
        """Name of what only one run at a time may write: the target's schemas."""
        return f"{self.profile_name}/{self.target}/{self.schema}"

    @property
    def schema(self) -> str:
        """dbt's target schema, where what is not a model of the project stands."""
        if file := ProfileFile.of(self.connection):
            output = file.output()
            return str(output.get("schema") or output.get("dataset") or "")
        return str(self.profile_args.get("schema", ""))


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A private folder for dbt commands, removed when they have ended."""

    target: DbtTarget
    folder: Path
    profiles_dir: Path
    env: Mapping[str, str]
    """What dbt's environment has beyond this process's: the connection's secrets, the session's tag."""
    options: RunOptions
    """What was asked of the run."""
    adapter: str = ""
    """Type of the adapter in the profile; empty if only dbt can tell it."""

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> DbtProcess:
        """Start a dbt command.

        Args:
            command: dbt's command line without `dbt`.
            env: What its environment has beyond that of the workspace.

        Raises:
            ConfigurationError: A variable would make dbt build something else than it is to, or there is no dbt.
        """
        return DbtProcess(
            command,
            cwd=self.target.project_dir,
            env={**self.env, **(env or {})},
            dbt=self.target.dbt,
            adapter=self.adapter,
        )

    def command(self, verb: Sequence[str], unique_ids: Iterable[str]) -> list[str]:
        """A dbt command line for exactly these nodes.

        dbt has no selector for unique ids, and naming thousands of nodes costs it many seconds. It does take the nodes
        that ended well in an earlier run (`result:success`), as they stand in a run_results.json: that file is cheap
        to write, exact, and tells dbt's own indirect selection to add nothing.
        """
        those = dict.fromkeys(unique_ids, "success")
        self.write_results(those)
        cached = _ONE_NODE if len(those) == 1 else _MANY_NODES
        command = [*_FLAGS, *cached, *self._strict, *verb, "--select", THOSE, "--state", str(self._state)]
        if verb[0] in ("build", "test"):
            command += ["--indirect-selection", "empty"]
        return [*command, *self._variables, *_asked(self.options, verb[0]), *self._around()]

    def retry_command(self, verb: str, batches: Mapping[str, Microbatches]) -> list[str]:
        """A dbt command line that builds the missing batches of microbatch models, and nothing else.

        Args:
            verb: The command that is retried: what it was asked for holds for the retry.
            batches: Unique id to batches.
        """
        flags = [*_FLAGS, *_MANY_NODES]
        settings = [*flags, *self._strict, *self._variables, *_asked(self.options, verb), *self._around()]
        write_state(self._state, results_to_retry(batches, settings=settings_to_retry(settings, verb=verb)))
        variables = self._variables if variables_to_retry(self._given) else []
        return [*flags, *self._strict, RETRY, "--state", str(self._state), *variables, *self._around()]

    def plain_command(self, arguments: Sequence[str]) -> list[str]:
        """A dbt command line as it stands; `state:` and `result:` in it mean what was put into this workspace."""
        self._state.mkdir(exist_ok=True)
        return [
            *_FLAGS,
            *_MANY_NODES,
            *arguments,
            "--state",
            str(self._state),
            *self._variables,
            *self._around(),
        ]

    def write_results(self, statuses: Mapping[str, str]) -> None:
        """Let `result:` mean these: unique id to dbt's status."""
        write_results(self._state, statuses)

    def copy_manifest(self, manifest: Path) -> None:
        """Let `state:` mean this manifest."""
        self._state.mkdir(exist_ok=True)
        shutil.copyfile(manifest, self._state / "manifest.json")

    def keep_parsed(self) -> None:
        """Let the next command start from what this one parsed, unless that is good for this run alone."""
        if not self.options.changes_parsing:
            keep_parsed(self.folder / "target", cache_dir=self.target.cache_dir)

    @property
    def _strict(self) -> list[str]:
        """dbt calls it a success when a selection matches nothing."""
        return warn_error_arguments(self.target.project_dir)

    @property
    def _state(self) -> Path:
        return self.folder / "state"

    @property
    def _given(self) -> dict[str, Any]:
        """dbt variables: those of the pipeline, and over them those of the run."""
        return {**self.target.variables, **self.options.vars}

    @property
    def _variables(self) -> list[str]:
        return variable_arguments(self._given)

    def _around(self) -> list[str]:
        return [
            *("--target", self.target.target, "--profile", self.target.profile_name),
            *("--profiles-dir", str(self.profiles_dir), "--target-path", str(self.folder / "target")),
        ]

    def compiled_sql(self, node: PlannedNode, path: str, *, batches: Microbatches | None = None) -> str:
        """The SQL that dbt sent, without what it wrapped around it; empty where it wrote none.

        Args:
            node: The node.
            path: dbt's own path of it, from its event.
            batches: Of a model of which batches are missing: the SQL is that of the first of them.
        """
        package = node.unique_id.split(".")[1]
        file = self.folder / "target" / "compiled" / package / node.file
        file = file if Path(path).name == file.name else file / path
        if batches is not None:
            file = file.with_suffix("") / f"{file.stem}_{batches.missing[0]}{file.suffix}"
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def _asked(options: RunOptions, verb: str) -> list[str]:
    """What was asked of a run, as the command line of one of its dbt commands."""
    found: list[str] = []
    if options.threads is not None:
        found += ["--threads", str(options.threads)]
    if verb == "build":
        found += ["--full-refresh"] if options.full_refresh else []
        found += ["--fail-fast"] if options.fail_fast else []
        for name in ("event_time_start", "event_time_end"):
            if (moment := getattr(options, name)) is not None:
                found += [f"--{name.replace('_', '-')}", _in_utc(moment)]
    return found


def _in_utc(moment: datetime) -> str:
    """A moment as dbt takes it: in UTC, and without saying so."""
    plain = moment.astimezone(UTC) if moment.tzinfo else moment
    return plain.strftime("%Y-%m-%dT%H:%M:%S")


def take_parsed(target_folder: Path, *, cache_dir: Path | None, parsed_dir: Path | None) -> None:
    """Put what was parsed last into a fresh target folder: by a task, else by `goldsmith manifest`.

    The project's own file comes second, because after a developer's `dbt build` it is one that another profile made
    and that dbt throws away.
    """
    for folder in (cache_dir / "target" if cache_dir else None, parsed_dir):
        parsed = folder / PARTIAL_PARSE if folder else None
        if parsed and parsed.is_file():
            target_folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(parsed, target_folder / PARTIAL_PARSE)
            return


def keep_parsed(target_folder: Path, *, cache_dir: Path) -> None:
    """Let the next command start from what the last one parsed."""
    parsed = target_folder / PARTIAL_PARSE
    if parsed.is_file():
        from cosmos.fs import safe_copy

        (cache_dir / "target").mkdir(parents=True, exist_ok=True)
        safe_copy(parsed, cache_dir / "target" / PARTIAL_PARSE)


def _adapter_in(profile: Path, target: DbtTarget) -> str:
    """The type of adapter that a profiles.yml names; empty if only dbt can read it."""
    try:
        found = read_yaml(profile.read_text(encoding="utf-8"), is_strict=False)
        named = str(found[target.profile_name]["outputs"][target.target]["type"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
        return ""
    return "" if "{" in named else named


def _joined_options(*given: Mapping[str, str]) -> dict[str, str]:
    """The options of dbt's sessions: the profile's, and those by which the server watches its client."""
    found = [one[OPTIONS_VARIABLE] for one in given if one.get(OPTIONS_VARIABLE)]
    return {OPTIONS_VARIABLE: " ".join(found)} if found else {}


@contextmanager
def workspace(
    target: DbtTarget, *, session: str, env: Mapping[str, str], options: RunOptions
) -> Iterator[Workspace]:
    """Make a workspace.

    Args:
        target: The project and its connection.
        session: Tag of dbt's sessions in the warehouse.
        env: More variables for dbt's environment.
        options: What was asked of the run.

    Raises:
        ConfigurationError: dbt cannot use the connection.
    """
    hide_variables({**target.variables, **options.vars})
    with (
        tempfile.TemporaryDirectory(prefix="goldsmith-") as folder,
        target.profile().ensure_profile() as (profile, secrets),
    ):
        if ignored := overridden(settings_of(target.project_dir)):
            log.info("Not given to dbt, because something else decides it: %s", ", ".join(ignored))
        fail_fast = options.fail_fast or fails_fast(target.project_dir)
        take_parsed(Path(folder, "target"), cache_dir=target.cache_dir, parsed_dir=target.parsed_dir)
        yield Workspace(
            target=target,
            folder=Path(folder),
            profiles_dir=profile.parent,
            env={**secrets, **env, **_joined_options(secrets, env), SESSION_VARIABLE: session},
            options=options.model_copy(update={"fail_fast": fail_fast}),
            adapter=_adapter_in(profile, target),
        )
