"""The verdicts of a pipeline's gates in its warehouse."""

from __future__ import annotations

import logging

from goldsmith.engine.site import Site
from goldsmith.errors import GoldsmithError
from goldsmith.gates.table import GateTable
from goldsmith.gates.verdict import Verdict

log = logging.getLogger(__name__)


def table_of(site: Site) -> GateTable:
    """The table of the verdicts, in the target schema of the site."""
    from goldsmith.warehouse.choose import warehouse_of

    return GateTable(
        warehouse=warehouse_of(site.target.connection), schema=site.schema, pipeline=site.target.dag_id
    )


def write_verdict(site: Site, run_id: str, verdict: Verdict) -> None:
    """Add a verdict, if the warehouse keeps them; that it cannot be written changes nothing for the run."""
    try:
        table_of(site).write(run_id, verdict)
    except GoldsmithError as error:
        log.warning("The verdict could not be written into the warehouse: %s", error)
