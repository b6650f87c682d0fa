"""Arguments that several commands take: which pipeline, which run, and a run's parameters as in Airflow's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from goldsmith.errors import SpecError
from goldsmith.spec.run import RunOptions

OnePipeline = Annotated[str | None, typer.Argument(help="Name of the pipeline; needed if there are several.")]
AnyPipeline = Annotated[str | None, typer.Argument(help="Name of the pipeline; default is all.")]
PIPELINE = "--pipeline"
OfPipeline = Annotated[
    str | None, typer.Option(PIPELINE, help="Name of the pipeline; needed if several fit what is asked for.")
]
OfRun = Annotated[str | None, typer.Option("--run", help="Id of the run; default is the latest.")]
Down = Annotated[bool, typer.Option("--down", help="Stop the local stack after the run.")]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", "-s", help="dbt selection of what to build; all where none is named."),
]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="dbt selection of what to leave out.")]
FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Build incremental models and load seeds anew.")
]
Approved = Annotated[
    bool, typer.Option("--approve-full-refresh", help="Needed for that where the target is prod.")
]
Vars = Annotated[str, typer.Option("--vars", help="dbt variables, as a JSON object.")]
From = Annotated[str | None, typer.Option("--event-time-start", help="Start of microbatch models' window.")]
To = Annotated[str | None, typer.Option("--event-time-end", help="End of that window.")]
Threads = Annotated[int | None, typer.Option("--threads", help="How many nodes dbt builds at once.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first node that fails.")]
Ingest = Annotated[
    bool, typer.Option("--ingest", help="Load all raw files, also those of sources that --select leaves out.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Build nothing: say what would be built.")]


@dataclass(frozen=True, kw_only=True)
class RunArguments:
    """What was asked for on the command line; each as it was written."""

    select: list[str] | None = None
    exclude: list[str] | None = None
    ingest: bool = False
    full_refresh: bool = False
    full_refresh_approved: bool = False
    dbt_vars: str = ""
    event_time_start: str | None = None
    event_time_end: str | None = None
    threads: int | None = None
    fail_fast: bool = False
    dry_run: bool = False

    @classmethod
    def among(cls, given: Mapping[str, Any]) -> RunArguments:
        """Those among the arguments of a command.

        Args:
            given: Name to value, of all its arguments.
        """
        return cls(**{one.name: given[one.name] for one in fields(cls) if one.name in given})

    def options(self, *, target: str) -> RunOptions:
        """The same, checked.

        Args:
            target: dbt target of the run.

        Raises:
            SpecError: Something of it cannot be.
        """
        values: dict[str, Any] = dict(vars(self))
        values["vars"] = _object(values.pop("dbt_vars"))
        values |= {key: " ".join(values[key] or ()) for key in ("select", "exclude")}
        return RunOptions.parse(values, target=target)


def _object(text: str) -> Any:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SpecError(
            f"--vars is no JSON: {error}", hint="""Write such as --vars '{"start": "2026-11-01"}'."""
        ) from error
    if not isinstance(found, dict):
        raise SpecError(f"--vars is no JSON object: {text}", hint="""Write such as --vars '{"days": 3}'.""")
    return found
