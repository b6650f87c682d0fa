"""The command `goldsmith`: arguments, and which function they go to."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from goldsmith.errors import ConfigurationError, EnvironmentProblem, GoldsmithError
from goldsmith.local import alerts_command, gate_command
from goldsmith.local.plan_command import plan
from goldsmith.local.report_command import report
from goldsmith.local.run_command import backfill, run, watched
from goldsmith.settings import Settings, settings

if TYPE_CHECKING:
    from goldsmith.local.node_log import NodeLog

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Run a dbt project on Apache Airflow: every model and every test its own task.

    Exit codes: 0 success, 1 the run or the data failed, 2 the command line or the configuration is wrong,
    3 the environment fails (a server, a folder, a permission), 130 interrupted with Ctrl-C.
    """,
    epilog="Example: goldsmith run",
)
app.add_typer(gate_command.app, name="gate")
app.add_typer(alerts_command.app, name="alerts")

PipelineArgument = Annotated[
    str | None, typer.Argument(help="Name of the pipeline; needed where there are several.")
]
PipelineOption = Annotated[
    str | None, typer.Option("--pipeline", help="Name of the pipeline; needed where there are several.")
]
RunOption = Annotated[str | None, typer.Option("--run", help="Id of the run; default is the latest.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document; progress goes to stderr.")]
INTERRUPTED = 130


def main() -> None:
    """Run the command line; a mistake ends with a message, a hint and an exit code, never with a traceback."""
    try:
        code = app(standalone_mode=False) or 0
    except GoldsmithError as error:
        code = _say_error(error)
    except typer.TyperException as error:
        getattr(error, "show", lambda: None)()  # the usage, on stderr
        code = _print_error(error.format_message(), hint="goldsmith --help", exit_code=error.exit_code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if not _is_of_environment(error):
            raise
        code = _say_error(EnvironmentProblem(f"{type(error).__name__}: {str(error).strip()}"))
    if code == INTERRUPTED:
        _print_error("Interrupted.", hint="", exit_code=INTERRUPTED)
    sys.exit(code)


@app.command(epilog="Example: goldsmith retry stg_transactions --downstream")
def retry(
    node: Annotated[str, typer.Argument(help="A dbt node's name or unique id, or a task id.")],
    *,
    downstream: Annotated[bool, typer.Option("--downstream", help="Also run what depends on it.")] = False,
    run_id: RunOption = None,
    pipeline: PipelineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one node again in its run, and nothing before it. Exit code as of `run`."""
    from goldsmith.local.airflow import running_airflow
    from goldsmith.local.run import retry_node
    from goldsmith.local.session import reporter
    from goldsmith.pipelines.find import choose_pipeline

    here, console = settings(), Console(stderr=as_json)
    spec, _ = choose_pipeline(here, pipeline)
    airflow = running_airflow(here)
    work = partial(
        retry_node,
        airflow,
        spec,
        here,
        node=node,
        run_id=run_id,
        downstream=downstream,
        report=reporter(console),
    )
    raise typer.Exit(watched(work, airflow, spec, console, as_json=as_json, down=False))


@app.command(epilog="Example: goldsmith up --warehouse && cd dbt_project && dbt build")
def up(
    *,
    warehouse: Annotated[
        bool, typer.Option("--warehouse", help="Only the database, with the sample data, and .env for dbt.")
    ] = False,
) -> None:
    """Start the local stack in the background: PostgreSQL and Airflow."""
    from goldsmith.local.session import reporter, say_how_to_get_in
    from goldsmith.pipelines.find import find_pipelines, show_failed
    from goldsmith.pipelines.manifests import refresh_manifests, specs_of
    from goldsmith.stack.stack import local_stack
    from goldsmith.stack.warehouse import start_warehouse

    here, console = settings(), Console()
    if warehouse:
        report = reporter(console)
        specs = specs_of(find_pipelines(here))
        server = start_warehouse(local_stack(here, report), specs, report)
        console.print(f"PostgreSQL: {server.conninfo('warehouse')}", highlight=False, soft_wrap=True)
        console.print("Stop it with: goldsmith down", highlight=False)
        return
    found = find_pipelines(here)
    failed = refresh_manifests(here, found, reporter(console))
    show_failed({**found.errors, **failed}, Console(stderr=True))
    stack = local_stack(here, reporter(console))
    if not stack.up():
        console.print("The local stack is already running.")
    say_how_to_get_in(stack, console)


@app.command(epilog="Example: goldsmith down")
def down() -> None:
    """Stop the local stack, and whatever a crash has left of it."""
    from goldsmith.stack.stack import local_stack

    was_running = local_stack(settings()).down()
    Console().print("Stopped." if was_running else "Nothing was running.")


@app.command(epilog="Example: goldsmith status")
def status() -> None:
    """Show what runs, and where. Exit code: 0 all is healthy, 3 it is not."""
    from goldsmith.local.airflow import running_airflow
    from goldsmith.local.session import say_how_to_get_in, status_table
    from goldsmith.stack.stack import local_stack

    here, console = settings(), Console()
    if here.airflow is not None:
        airflow = running_airflow(here)
        console.print(f"Airflow {airflow.api.version()} at {airflow.url}", highlight=False, soft_wrap=True)
        for name, health in airflow.api.health().items():
            console.print(f"{name}: {'healthy' if health.is_healthy else 'not healthy'}", highlight=False)
        return
    stack = local_stack(here)
    parts = stack.status()
    console.print(status_table(parts))
    if stack.is_up():
        say_how_to_get_in(stack, console)
    raise typer.Exit(0 if all(part.state == "healthy" for part in parts) else 3)


@app.command(epilog="Example: goldsmith logs int_customers__cleaned")
def logs(
    name: Annotated[
        str | None,
        typer.Argument(help="A part of the stack; else a dbt node's name or unique id, or a task id."),
    ] = None,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines of a part's log.")] = 100,
    task_log: Annotated[
        bool, typer.Option("--task-log", help="Airflow's log of the task, not what dbt said.")
    ] = False,
    run_id: RunOption = None,
    pipeline: PipelineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what dbt said about a node, or the end of a part's log; without a name, where the logs are."""
    from goldsmith.stack.logs import NAMES, component_log, log_files
    from goldsmith.stack.stack import local_stack

    here = settings()
    if name is None:
        files = log_files(local_stack(here))
        document: dict[str, Any] = {"files": {part: str(file) for part, file in files.items()}}
        shown = [f"{part:14} {file}" for part, file in files.items()]
    elif name in NAMES:
        shown = component_log(local_stack(here), name, lines=lines)
        document = {"part": name, "lines": shown}
    else:
        found = _node_log(here, name, run_id=run_id, pipeline=pipeline, only_task_log=task_log)
        shown, document = found.lines(), found.to_dict()
        if found.note:
            typer.echo(found.note, err=True)
    if as_json:
        _print_json(document)
        return
    for line in shown:
        typer.echo(line)


@app.command(epilog="Example: goldsmith check --strict")
def check(
    pipeline: Annotated[str | None, typer.Argument(help="Name of the pipeline; default is all.")] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as failures.")] = False,
    connections: Annotated[
        bool, typer.Option("--connections/--no-connections", help="Let dbt connect to the warehouse.")
    ] = True,
) -> None:
    """Check specs, manifests, DAGs as Airflow imports them, and connections. Exit code: 0 all is well, 2 it is not."""
    from goldsmith.check import FAIL, check_all, findings_table
    from goldsmith.local.session import reporter
    from goldsmith.stack.stack import local_stack

    here = settings()
    findings = check_all(
        here,
        local_stack(here).env(),
        strict=strict,
        connections=connections,
        report=reporter(Console(stderr=True)),
        pipeline=pipeline,
    )
    Console().print(findings_table(findings), highlight=False)
    raise typer.Exit(2 if any(finding.status == FAIL for finding in findings) else 0)


@app.command(epilog="Example: goldsmith manifest")
def manifest(pipeline: PipelineArgument = None) -> None:
    """Make the dbt manifest that the DAG is built from (`dbt parse`); without a name, those of all pipelines."""
    from goldsmith.pipelines.find import choose_pipeline, find_pipelines, read_pipelines, show_failed
    from goldsmith.pipelines.manifests import make_manifest_of, make_manifests, specs_of

    here, say = settings(), partial(typer.echo, err=True)
    if pipeline is not None:
        spec, _ = choose_pipeline(here, pipeline)
        typer.echo(f"Wrote {make_manifest_of(spec, here, say, specs_of(find_pipelines(here)))}")
        return
    found = read_pipelines(here)
    failed = {**found.errors, **make_manifests(here, found, say, wrote=typer.echo)}
    show_failed(failed, Console(stderr=True))
    raise typer.Exit(2 if failed else 0)


@app.command(epilog="Example: goldsmith deps")
def deps(pipeline: PipelineArgument = None) -> None:
    """Install dbt packages: those that the project lists itself, else those of packages.yml beside the dags folder."""
    from goldsmith.pipelines.find import show_failed
    from goldsmith.pipelines.packages import install_packages

    failed = install_packages(settings(), pipeline, _say)
    if len(failed) == 1:
        raise next(iter(failed.values()))
    show_failed(failed, Console(stderr=True))
    raise typer.Exit(max((error.exit_code for error in failed.values()), default=0))


@app.command(epilog="Example: goldsmith sample --rows 1000000 --seed 7 --out /tmp/sample")
def sample(
    *,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many transactions.")] = 5000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same files.")] = 1,
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder of the files.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Make raw files of the sample pipeline, with the faults of real ones."""
    from goldsmith.sample import FILES, generate

    there = [out / f"{name}.csv" for name in FILES if (out / f"{name}.csv").exists()]
    if there and not overwrite:
        raise ConfigurationError(
            f"{there[0]} exists.", hint="To replace it: --overwrite, or name another folder."
        )
    generate(rows, seed, out)
    typer.echo(f"Wrote the files to {out}")


app.command(epilog="Example: goldsmith run customer_transactions --select tag:marts --down")(run)
app.command(
    epilog="Example: goldsmith backfill --from 2026-11-01 --to 2026-11-08 --select +fct_transactions"
)(backfill)
app.command(epilog="Example: goldsmith plan --select tag:marts")(plan)
app.command(epilog="Example: goldsmith report --open")(report)


def _node_log(
    here: Settings, name: str, *, run_id: str | None, pipeline: str | None, only_task_log: bool
) -> NodeLog:
    from goldsmith.local.airflow import running_airflow
    from goldsmith.local.node_log import node_log
    from goldsmith.local.run import plan_if_here
    from goldsmith.pipelines.find import choose_pipeline

    spec, _ = choose_pipeline(here, pipeline)
    airflow = running_airflow(here)
    with airflow.api:
        plan = plan_if_here(spec, here)
        return node_log(airflow, plan, spec.name, name, run_id=run_id, only_task_log=only_task_log)


def _say(line: str) -> None:
    typer.echo(line)


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))


def _is_of_environment(error: Exception) -> bool:
    """Whether a folder, a permission, a full disk or a database is the cause, and no mistake in Goldsmith."""
    if isinstance(error, OSError):
        return True
    from psycopg import Error

    return isinstance(error, Error)


def _say_error(error: GoldsmithError) -> int:
    console = Console(stderr=True)
    console.print(Text(error.message, style="bold red"), soft_wrap=True)
    if error.hint:
        console.print(Text(error.hint), soft_wrap=True)
    return _print_error(error.message, hint=error.hint, exit_code=error.exit_code)


def _print_error(message: str, *, hint: str, exit_code: int) -> int:
    """Print what went wrong as JSON, where JSON was asked for; give the exit code back."""
    if "--json" in sys.argv:
        _print_json({"error": message, "hint": hint, "exit_code": exit_code})
    return exit_code


if __name__ == "__main__":
    main()
