"""The page of a dry run: what a run would build and load, what it would skip, why, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from goldsmith.pages.page import Pages
from goldsmith.plan.preview import RUN, SKIP, Choice

_SHOWN = 1000  # rows of a table
_PAGES = Pages("goldsmith.report", style="report.css", script="report.js")


def dry_run_page(pipeline: str, run_id: str, choices: Sequence[Choice], asked: Mapping[str, object]) -> str:
    """One HTML file that needs nothing else.

    Args:
        pipeline: The pipeline.
        run_id: The dry run.
        choices: What a run would do with each node and each ingest.
        asked: The parameters of the run, by name.
    """
    runs = [one for one in choices if one.action == RUN]
    skips = [one for one in choices if one.action == SKIP]
    titled = (("Would run", runs), ("Would be skipped", skips))
    return _PAGES.render(
        "dry_run.html",
        pipeline=pipeline,
        run_id=run_id,
        policy=_PAGES.policy,
        asked=[(name, value) for name, value in asked.items() if name != "dry_run"],
        runs=runs,
        skips=skips,
        seconds=sum(one.seconds or 0.0 for one in runs),
        parts=[(title, ones[:_SHOWN], len(ones[_SHOWN:])) for title, ones in titled if ones],
    )
