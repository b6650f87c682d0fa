"""Where things are: the only reader of environment variables and of Airflow's configuration.

variable                      meaning                                   default
GOLDSMITH_DBT_PROJECT_DIR     the dbt project                           `dbt_project` beside the dags folder
GOLDSMITH_TARGET              dbt target of pipeline runs               prod
GOLDSMITH_STATE_DIR           state of the local stack                  `.goldsmith` beside the dags folder
GOLDSMITH_RESULTS_PATH        details of nodes: a folder that workers   `goldsmith_results` in AIRFLOW_HOME
                              and the API server share, or a URL of
                              object storage, s3://conn@bucket/prefix
GOLDSMITH_ENVIRONMENT         which of a spec's `environments` it is   none
GOLDSMITH_ALLOW_PROD          `yes`: pipelines of the local stack may  no
                              write `prod` of another database
GOLDSMITH_DBT                 the dbt command, if it is installed into  that of this
                              another environment than Airflow          environment
GOLDSMITH_EDR                 Elementary's command `edr`, where it is   that of this
                              installed into another environment        environment
GOLDSMITH_SECRET_ENV          names of environment variables, with      none
                              commas between, whose values are
                              masked; `*` stands for any letters
GOLDSMITH_SCHEDULE            `off`: pipelines run by hand only          on
GOLDSMITH_AIRFLOW_URL         a running Airflow to use, not our own     none
GOLDSMITH_AIRFLOW_USER        login there                               admin
GOLDSMITH_AIRFLOW_PASSWORD    password there                            none
GOLDSMITH_AIRFLOW_TOKEN       bearer token there, instead of a login    none
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from goldsmith.errors import ProjectError

DBT_PROJECT = "dbt_project"
DAGS = "dags"


@dataclass(frozen=True, kw_only=True, slots=True)
class AirflowAccess:
    """A running Airflow that the user named; the secrets stay out of `repr`."""

    url: str
    user: str = "admin"
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Paths and names that hold for this process."""

    root: Path
    """The folder that holds dags/, dbt_project/ and include/."""
    dags_dir: Path
    dbt_project_dir: Path
    state_dir: Path
    plan_dir: Path
    """Where compiled plans go when they cannot lie beside the manifest."""
    results_path: str
    """Folder or URL of what dbt said about each node."""
    target: str
    is_scheduled: bool
    """Whether pipelines follow their schedule; the local stack switches it off."""
    airflow: AirflowAccess | None
    environment: str = ""
    """Which of a spec's environments it is."""
    embedded: str | None = None
    """Airflow connection of the local stack's own database, empty where it has none; None outside the local stack."""
    dbt: str = ""
    """The dbt command, a path or a name on the PATH, where it is not that of this environment."""
    edr: str = ""
    """Elementary's command, where it is not that of this environment."""
    may_write_prod: bool = False
    """Whether pipelines of the local stack may write the target `prod` of another database."""

    @property
    def is_local(self) -> bool:
        """Whether this is a process of the local stack, or a command that is about it."""
        return self.embedded is not None and self.airflow is None

    def is_foreign(self, connection: str) -> bool:
        """Whether this is a developer's machine, and a connection leads to another database than its own."""
        return self.is_local and connection != self.embedded


def developer_schema() -> str:
    """A schema of the developer's own: the name of the account, in characters that need no quotes."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, in a container
        account = f"user_{os.getuid()}"
    return re.sub(r"[^a-z0-9_]", "_", account.lower())


def settings(root: Path | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        root: The repository; by default that of Airflow's dags folder, or the nearest one above the current folder.

    Raises:
        ProjectError: No dbt project is where one is looked for.
    """
    dags_dir = None if root else airflow_dags_dir()
    root = root or (dags_dir.parent if dags_dir else _root_above(Path.cwd()))
    named = os.environ.get("GOLDSMITH_DBT_PROJECT_DIR")
    state_dir = Path(os.environ.get("GOLDSMITH_STATE_DIR") or root / ".goldsmith").resolve()
    airflow_home = _airflow_home() or state_dir / "airflow"
    return Settings(
        root=root,
        dags_dir=dags_dir or root / DAGS,
        dbt_project_dir=Path(named).resolve() if named else root / DBT_PROJECT,
        state_dir=state_dir,
        plan_dir=airflow_home,
        results_path=os.environ.get("GOLDSMITH_RESULTS_PATH") or str(airflow_home / "goldsmith_results"),
        is_scheduled=os.environ.get("GOLDSMITH_SCHEDULE", "on") != "off",
        target=os.environ.get("GOLDSMITH_TARGET") or "prod",
        airflow=_named_airflow(),
        environment=os.environ.get("GOLDSMITH_ENVIRONMENT", ""),
        dbt=os.environ.get("GOLDSMITH_DBT", ""),
        edr=os.environ.get("GOLDSMITH_EDR", ""),
        embedded=os.environ.get("GOLDSMITH_EMBEDDED"),
        may_write_prod=os.environ.get("GOLDSMITH_ALLOW_PROD") == "yes",
    )


def secret_values(env: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The values of the variables that hold secrets: dbt's own `DBT_ENV_SECRET_*`, and what GOLDSMITH_SECRET_ENV names.

    Args:
        env: An environment; default is that of this process, which always says which variables they are.
    """
    found = os.environ if env is None else env
    named = os.environ.get("GOLDSMITH_SECRET_ENV", "").replace(",", " ").split()
    patterns = ("DBT_ENV_SECRET_*", *named)
    return tuple(value for name, value in found.items() if any(fnmatchcase(name, one) for one in patterns))


def airflow_url() -> str:
    """The address of Airflow's web page, as Airflow itself writes it into links."""
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def is_parse_process() -> bool:
    """Whether Airflow started this process for DAG files or a task: it ends when that is done."""
    return os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "client"


def airflow_dags_dir() -> Path | None:
    """Airflow's dags folder, where this process is one of Airflow's."""
    configured = os.environ.get("AIRFLOW__CORE__DAGS_FOLDER")
    if configured:
        return Path(configured).resolve()
    if "airflow.configuration" not in sys.modules:  # the CLI does not pay for importing Airflow
        return None
    from airflow.configuration import conf

    return Path(conf.get_mandatory_value("core", "dags_folder")).resolve()


def _airflow_home() -> Path | None:
    named = os.environ.get("AIRFLOW_HOME")
    if named or "airflow.configuration" not in sys.modules:
        return Path(named) if named else None
    from airflow.configuration import AIRFLOW_HOME

    return Path(AIRFLOW_HOME)


def _root_above(start: Path) -> Path:
    """The nearest folder, from `start` upwards, with DAG files of ours; else the nearest with a dbt project.

    A dbt project may be anywhere: the pipeline spec names it.
    """
    above = (start, *start.parents)
    for folder in above:
        if _has_pipelines(folder / DAGS):
            return folder
    for folder in above:
        if (folder / DBT_PROJECT / "dbt_project.yml").is_file():
            return folder
        if (folder / "dbt_project.yml").is_file():
            return folder.parent
    if os.environ.get("GOLDSMITH_DBT_PROJECT_DIR"):
        return start
    raise ProjectError(
        f"No pipeline and no dbt project: in {start} and the folders above it no file in {DAGS}/ calls goldsmith, and "
        f"there is neither {DBT_PROJECT}/dbt_project.yml nor dbt_project.yml.",
        hint="Change into your project, or name it: export GOLDSMITH_DBT_PROJECT_DIR=/path/to/dbt_project",
    )


def _has_pipelines(dags_dir: Path) -> bool:
    """Whether a DAG file speaks of Goldsmith."""
    for file in dags_dir.rglob("*.py"):
        try:
            if b"goldsmith" in file.read_bytes():
                return True
        except OSError:
            continue  # somebody else's
    return False


def _named_airflow() -> AirflowAccess | None:
    url = os.environ.get("GOLDSMITH_AIRFLOW_URL")
    if not url:
        return None
    return AirflowAccess(
        url=url.rstrip("/"),
        user=os.environ.get("GOLDSMITH_AIRFLOW_USER", "admin"),
        password=os.environ.get("GOLDSMITH_AIRFLOW_PASSWORD", ""),
        token=os.environ.get("GOLDSMITH_AIRFLOW_TOKEN", ""),
    )
