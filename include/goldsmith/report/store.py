"""Where reports lie: in the folder of their run under the results path, and a list of the runs that have one.

<path>/<dag_id>/<run_id>/report.html        the page
<path>/<dag_id>/<run_id>/elementary.html    Elementary's, where there is one
<path>/<dag_id>/<run_id>/dbt_docs.html      dbt's documentation, where the spec wants it
<path>/<dag_id>/<run_id>/summary.gz         what the next run is compared with
<path>/<dag_id>/~reports/runs               the runs with a report, newest last; no run's folder begins with a tilde
<path>/<dag_id>/~reports/dry_runs           the dry runs with a page, one a line, newest last
<path>/<dag_id>/~reports/elementary_*       what Elementary's tables hold already
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from goldsmith.report.summary import Summary
from goldsmith.results.names import SUMMARY, folder_name
from goldsmith.results.store import open_files

PAGE, ELEMENTARY, DOCS = "report.html", "elementary.html", "dbt_docs.html"
FILES = (PAGE, ELEMENTARY, DOCS)
_LIST = ("~reports", "runs")
_END_OF_TIME = "9999"
_DRY_RUNS, _DRY_KEPT = "dry_runs", 20
_LOOKED_AT = 20  # reports, for how long a node takes


class ReportStore:
    """The reports of one pipeline.

    Args:
        path: The results path.
        dag_id: The pipeline.

    Every method raises `EnvironmentProblem` where the path cannot be read or written.
    """

    def __init__(self, path: str, dag_id: str) -> None:
        self._files = open_files(path)
        self._dag = folder_name(dag_id)

    def location(self, run_id: str, name: str = PAGE) -> str:
        """The path or URL of a file of a run, whether it exists or not."""
        return self._files.location(self._folder(run_id), name)

    def read(self, run_id: str, name: str = PAGE) -> bytes | None:
        """A file of a run; none where there is none."""
        return self._files.read(self._folder(run_id), name)

    def write(self, run_id: str, files: dict[str, bytes]) -> None:
        """Keep files of a run."""
        self._files.write(self._folder(run_id), files)

    def delete(self, run_id: str, name: str) -> None:
        """Delete a file of a run, where it is there."""
        self._files.delete(self._folder(run_id), name)

    def last_seconds(self) -> dict[str, float]:
        """Unique id to how long dbt took for a node the last time, as far as the latest reports know it."""
        found: dict[str, float] = {}
        for summary in islice(self.earlier("", _END_OF_TIME), _LOOKED_AT):
            found = {uid: one[1] for uid, one in summary.nodes.items() if one[1]} | found
        return found

    def earlier(self, run_id: str, started: str) -> Iterator[Summary]:
        """Runs that began earlier, the latest first."""
        for other, began in reversed(self.runs()):
            if other != run_id and began < started:
                content = self._files.read(self._folder(other), SUMMARY)
                with suppress(ValueError):  # of another Goldsmith, or damaged: the one before has to do
                    if content:
                        yield Summary.unpack(content)

    def add(self, summary: Summary, *, keep: int) -> None:
        """Note that a run has a report, and delete the reports of all but the newest runs.

        Args:
            summary: What the next run is compared with.
            keep: Of how many runs the reports are kept.
        """
        self._files.write(self._folder(summary.run_id), {SUMMARY: summary.pack()})
        others = [one for one in self.runs() if one[0] != summary.run_id]
        runs = sorted([*others, (summary.run_id, summary.started)], key=lambda one: one[1])
        for run_id, _ in runs[:-keep]:
            for name in (*FILES, SUMMARY):
                self._files.delete(self._folder(run_id), name)
        content = json.dumps(runs[-keep:]).encode()
        self._files.write((self._dag, _LIST[0]), {_LIST[1]: content})

    def add_dry_run(self, run_id: str, page: bytes) -> None:
        """Keep the page of a dry run, and delete those of all but the last ones; no run is compared with them."""
        self.write(run_id, {PAGE: page})
        others = [one for one in self.noted(_DRY_RUNS).split("\n") if one and one != run_id]
        for one in others[: -(_DRY_KEPT - 1)]:
            self.delete(one, PAGE)
        self.note(_DRY_RUNS, "\n".join([*others[-(_DRY_KEPT - 1) :], run_id]))

    def note(self, name: str, text: str) -> None:
        """Keep a word of the pipeline's, for later runs."""
        self._files.write((self._dag, _LIST[0]), {name: text.encode()})

    def noted(self, name: str) -> str:
        """What was kept last; empty where nothing was."""
        content = self._files.read((self._dag, _LIST[0]), name)
        return (content or b"").decode(errors="replace")

    def runs(self) -> list[tuple[str, str]]:
        """The ids of runs with a report, and when they started; oldest first."""
        content = self._files.read((self._dag, _LIST[0]), _LIST[1])
        try:
            return [(str(run_id), str(started)) for run_id, started in json.loads(content or b"[]")]
        except (ValueError, TypeError):
            return []

    def _folder(self, run_id: str) -> tuple[str, str]:
        return self._dag, folder_name(run_id)
