"""A Celery worker loads dbt before it forks: a task then costs a third of the CPU seconds."""

import sys

if {"celery", "worker"} <= set(sys.argv):
    import goldsmith.local.preload  # noqa: F401 - the import is the purpose
