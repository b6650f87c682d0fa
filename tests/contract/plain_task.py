"""A task that does nothing."""

from __future__ import annotations

from airflow.sdk import BaseOperator, Context


class PlainTask(BaseOperator):
    """Does nothing."""

    def execute(self, context: Context) -> None:
        """Do nothing."""
