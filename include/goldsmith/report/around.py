"""What the tasks around a run have in common, which make its reports and tell of it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context

from goldsmith.engine.site import Site
from goldsmith.parameters import skip_dry_run


class AroundRun(BaseOperator):
    """A task that builds no node, and does nothing in a dry run.

    Args:
        site: Where the run's nodes are built.
    """

    ui_color = "#dfe9dc"

    def __init__(self, *, site: Site, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.site = site

    def pre_execute(self, context: Context) -> None:
        """Leave it out of a dry run.

        Raises:
            AirflowSkipException: It is one.
        """
        skip_dry_run(context)
