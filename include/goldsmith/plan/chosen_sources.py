"""Which raw files a run loads: those of the sources that its selection means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from goldsmith.spec.run import RunOptions

_MAY_MEAN_SOURCES = re.compile(r"^\d*\+|[@:/*]")
"""A part of a term that goes upstream, or names a method: a bare name matches no source, says dbt."""


def needs_dbt(options: RunOptions) -> bool:
    """Whether only dbt can tell which sources a selection means.

    Args:
        options: What is asked of the run.
    """
    terms = () if options.ingest else (options.select or options.exclude)
    return any(_MAY_MEAN_SOURCES.search(part) for term in terms for part in term.split(","))


def chosen_sources(
    sources: Iterable[str], options: RunOptions, unique_ids: Collection[str]
) -> dict[str, bool]:
    """Source to whether a run loads its raw file.

    Args:
        sources: What the pipeline loads, as `schema.table`.
        options: What is asked of the run.
        unique_ids: What dbt has chosen; looked at only if `needs_dbt`.
    """
    if needs_dbt(options):
        chosen = {tuple(uid.split(".")[2:]) for uid in unique_ids if uid.startswith("source.")}
        return {source: tuple(source.split(".")) in chosen for source in sources}
    # A selection of bare names means no source; what only leaves out such names means all of them.
    return dict.fromkeys(sources, options.ingest or not options.select)
