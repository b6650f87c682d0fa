"""Elementary's part of a run: its tables before the first dbt command, its report after the last one.

Its dbt package writes what every dbt command did at that command's end. What the project is made of would be written
then too, by every task at once and for seconds: projects turn that off (`disable_dbt_artifacts_autoupload`), and it is
written here, once for each manifest.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout

from goldsmith.dbt.packages import packages_dir
from goldsmith.elementary.edr import PROFILE, Edr, edr_executable
from goldsmith.elementary.setup import package_version
from goldsmith.engine.left_behind import saying_why
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import warehouse_for
from goldsmith.errors import EnvironmentProblem
from goldsmith.report.around import AroundRun
from goldsmith.report.dbt_command import DbtCommand
from goldsmith.report.store import ELEMENTARY, ReportStore
from goldsmith.settings import settings
from goldsmith.spec.report import Elementary

NOT_INSTALLED = (
    "No Elementary report: Elementary's dbt package is not in the project's manifest. goldsmith deps installs what "
    "packages.yml lists; then: goldsmith manifest"
)
RESULTS = "model.elementary.dbt_run_results"
_ALL = "package:elementary"
_ARTIFACTS = "elementary.edr.dbt_artifacts"
_TABLES_NOTE, _ARTIFACTS_NOTE = "elementary_tables", "elementary_artifacts"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """Elementary's tables, as they were made last."""

    version: str
    """Of the package."""
    schema: str
    relation: str
    """Name of one of them, as dbt writes it."""

    def note(self, store: ReportStore, target: str) -> None:
        """Keep it for later runs with this dbt target."""
        store.note(f"{_TABLES_NOTE}.{target}", json.dumps(asdict(self)))

    @classmethod
    def noted(cls, store: ReportStore, target: str) -> Tables | None:
        """What was kept; none where there is nothing, or nothing that can be read."""
        try:
            return cls(**json.loads(store.noted(f"{_TABLES_NOTE}.{target}")))
        except (ValueError, TypeError):
            return None


class ElementaryTablesTask(AroundRun):
    """Makes Elementary's tables where they are missing or of an older version of the package.

    Nothing waits for its success: a run is right without them, its report only knows less.

    Args:
        site: Where the run's nodes are built.
    """

    def __init__(self, *, site: Site, **kwargs: Any) -> None:
        super().__init__(site=site, **kwargs)
        self._dbt: DbtCommand | None = None

    def execute(self, context: Context) -> str:
        """Make them.

        Returns:
            What was done.

        Raises:
            AirflowSkipException: They cannot be made.
        """
        from goldsmith.warehouse.names import relation_of

        store = ReportStore(self.site.results_path, self.dag_id)
        installed, target = package_version(self.site.target.project_dir), self.site.target.target
        try:
            known = Tables.noted(store, target)
            if known and known.version == installed and self._are_there(known.relation, context["run_id"]):
                return f"Elementary's tables are there, in {known.schema}"
            self._dbt = DbtCommand(site=self.site, run_id=context["run_id"], task_id=self.task_id)
            with self.site.writer.held(context, self.task_id):
                made = self._dbt.run(["run", "--select", _ALL])[RESULTS]
            schema, _ = relation_of(made)
            Tables(version=installed, schema=schema, relation=made).note(store, target)
            store.note(
                f"{_ARTIFACTS_NOTE}.{target}", self.site.graph.plan.manifest_checksum
            )  # their models write them
        except (Exception, AirflowTaskTimeout) as error:
            # With `engine: isolated` models wait for it: whatever it is, it must not hold them back.
            self.log.warning("%s: %s", type(error).__name__, error)
            raise AirflowSkipException(
                "Elementary's tables could not be made; the run goes on without them."
            ) from error
        return f"Made Elementary's tables in {schema}"

    def on_kill(self) -> None:
        """End dbt."""
        if self._dbt is not None:
            self._dbt.stop()

    def _are_there(self, relation: str, run_id: str) -> bool:
        return bool(warehouse_for(self.site, run_id, self.task_id).relation_kinds([relation]))


class ElementaryReportTask(AroundRun):
    """Makes Elementary's report after a run.

    Args:
        wanted: What the spec says about it.
        site: Where the run's nodes were built.
    """

    def __init__(self, *, wanted: Elementary, site: Site, **kwargs: Any) -> None:
        super().__init__(site=site, **kwargs)
        self.wanted = wanted
        self._dbt: DbtCommand | None = None
        self._edr: Edr | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Tell Elementary what the project is made of, where that has changed, and make the report.

        Returns:
            Where it lies, and how many tests fared how.

        Raises:
            AirflowSkipException: The package is not installed.
            GoldsmithError: There is no report.
        """
        with saying_why(context):
            return self._execute(context)

    def _execute(self, context: Context) -> dict[str, Any]:
        if not self.site.graph.plan.elementary:
            self.log.info("%s", NOT_INSTALLED)
            raise AirflowSkipException(NOT_INSTALLED)
        store = ReportStore(self.site.results_path, self.dag_id)
        executable = edr_executable(settings().edr)
        try:
            self._upload(context, store)
        except EnvironmentProblem as error:
            self.log.warning("The report may not know the project's latest changes: %s", error)
        target = self.site.target
        # Where its models were built last: the schema in the manifest is that of whoever parsed the project.
        known = Tables.noted(store, target.target)
        profile = target.profile(
            name=PROFILE, schema=known.schema if known else self.site.graph.plan.elementary
        )
        with (
            tempfile.TemporaryDirectory(prefix="goldsmith-") as work,
            profile.ensure_profile() as (path, secrets),
        ):
            self._edr = Edr(
                executable=executable,
                work=Path(work),
                profiles_dir=path.parent,
                packages_dir=packages_dir(target.project_dir),
                env=secrets,
                target=target.target,
                name=self.dag_id,
                wanted=self.wanted,
                cache_dir=target.cache_dir / "edr",
            )
            made = self._edr.run()
        store.write(context["run_id"], {ELEMENTARY: made.page})
        where = store.location(context["run_id"], ELEMENTARY)
        self.log.info("%s (%.1f MB)", where, len(made.page) / 1e6)
        return {"report": where, "tests": made.tests}

    def on_kill(self) -> None:
        """End dbt and edr."""
        if self._edr is not None:
            self._edr.stop()
        if self._dbt is not None:
            self._dbt.stop()

    def _upload(self, context: Context, store: ReportStore) -> None:
        """By one writer at a time: several at once leave rows twice."""
        checksum, note = (
            self.site.graph.plan.manifest_checksum,
            f"{_ARTIFACTS_NOTE}.{self.site.target.target}",
        )
        if store.noted(note) == checksum:
            return
        self._dbt = DbtCommand(site=self.site, run_id=context["run_id"], task_id=self.task_id)
        with self.site.writer.held(context, self.task_id):
            self._dbt.run(["run", "--select", _ARTIFACTS])
        store.note(note, checksum)
