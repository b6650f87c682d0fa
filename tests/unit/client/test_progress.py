from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich.console import Console

from goldsmith.client.display import LineDisplay, progress_table
from goldsmith.client.ended import message_in
from goldsmith.client.follow import _merged
from goldsmith.client.node_counts import count_nodes
from goldsmith.client.progress import Progress, Tally
from goldsmith.rest import LogLine, Run, TaskInstance

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def task(
    task_id: str, state: str | None, *, start: int | None = None, end: int | None = None, index: int = -1
) -> TaskInstance:
    """A task instance with its times in seconds from the begin."""
    return TaskInstance(
        task_id=task_id,
        name=task_id,
        map_index=index,
        state=state,
        try_number=1,
        started=None if start is None else BEGIN + timedelta(seconds=start),
        ended=None if end is None else BEGIN + timedelta(seconds=end),
    )


def progress(*tasks: TaskInstance, state: str = "failed") -> Progress:
    """A run that took 100 seconds."""
    run = Run(
        dag_id="shop",
        run_id="r1",
        state=state,
        run_type="manual",
        started=BEGIN,
        ended=BEGIN + timedelta(seconds=100),
    )
    return Progress(run=run, tasks=tasks)


TASKS = (
    task("gold.facts.run", "upstream_failed"),
    task("silver.orders.run", "failed", start=20, end=50),
    task("silver.orders.unique_id", "up_for_retry", start=30, end=40),
    task("bronze.orders.run", "success", start=5, end=10),
    task("bronze.items.run", "skipped"),
    task("notify", None),
)


def test_tasks_are_counted_by_layer_in_the_order_of_the_pipeline() -> None:
    """Each task counts once, in its outermost group, and groups without a place come last."""
    assert progress(*TASKS).tallies(["bronze", "silver", "gold"]) == [
        Tally(group="bronze", total=2, done=1, skipped=1, seconds=5.0),
        Tally(group="silver", total=2, retrying=1, failed=1, seconds=30.0),
        Tally(group="gold", total=1, not_reached=1),
        Tally(group="other", total=1),
    ]


def test_lines_say_only_what_changed() -> None:
    """In a pipe, a group is printed when something in it ended, and not again while it stands still."""
    console = Console(record=True, width=200, quiet=False, file=None)
    with console.capture() as captured, LineDisplay(console, ["bronze", "silver", "gold"]) as display:
        display.show(progress(*TASKS))
        display.show(progress(*TASKS))
    assert captured.get().splitlines() == [
        "1:40 bronze: 1/2 done, 1 skipped",
        "1:40 silver: 0/2 done, 1 waiting for a retry, 1 failed",
        "1:40 gold: 0/1 done, 1 not run",
    ]


def test_the_time_of_a_group_is_how_long_something_of_it_ran() -> None:
    """A retry by a person an hour later does not make the layer take an hour."""
    tasks = [
        task("silver.a.run", "success", start=0, end=10),
        task("silver.b.run", "success", start=5, end=15),
        task("silver.c.run", "success", start=3600, end=3620),
    ]
    assert progress(*tasks).total().seconds == 35.0


def test_a_narrow_terminal_gets_fewer_columns_and_no_cut_word() -> None:
    """What failed and what did not run are shown at any width."""
    running = progress(*TASKS, state="running")
    shown = {}
    for width in (120, 60, 50, 40):
        console = Console(width=width)
        with console.capture() as captured:
            console.print(progress_table(running, ["bronze"], width=width))
        shown[width] = captured.get().splitlines()
        assert len({len(line) for line in shown[width]}) == 1
    heads = {width: " ".join(lines[0].split()) for width, lines in shown.items()}
    assert heads == {
        120: "layer total done running retry failed not run skipped time",
        60: "layer total done running failed not run skipped time",
        50: "layer total done running failed not run",
        40: "layer done running failed not run",
    }


def test_an_expanded_task_replaces_its_placeholder() -> None:
    """A mapped task counts once before it is expanded and as its copies afterwards."""
    before = task("ingest.load", None)
    known = {before.key: before}
    merged = _merged(
        known, [task("ingest.load", "success", index=0), task("ingest.load", "running", index=1)]
    )
    assert sorted(merged) == [("ingest.load", 0), ("ingest.load", 1)]


def test_the_final_table_and_counts_hold_what_a_person_asks_for() -> None:
    """No columns that cannot count any more; models and tests in words, what is no dbt node left out."""
    console = Console(width=120)
    tasks = [
        task("silver.orders.run", "success"),
        task("silver.items.run", "failed"),
        task("silver.orders.unique_id", "success"),
        task("silver.orders.unit", "success"),
        task("gold.facts.run", "upstream_failed"),
        task("silver.gate", "failed"),
    ]
    with console.capture() as captured:
        console.print(progress_table(progress(*tasks), ["silver", "gold"], width=120))
    assert captured.get().splitlines()[0].split() == [
        "layer",
        "total",
        "done",
        "failed",
        "not",
        "run",
        "time",
    ]
    nodes = {
        task_id: {task_id: ("model", "")}
        for task_id in ("silver.orders.run", "silver.items.run", "gold.facts.run")
    }
    nodes |= {"silver.orders.unique_id": {"t": ("test", "")}, "silver.orders.unit": {"u": ("unit_test", "")}}
    assert count_nodes(tasks, nodes) == "1 model built, 1 model failed, 2 tests passed"
    assert count_nodes(tasks, {}) == ""


def test_nodes_that_share_a_task_are_counted_each() -> None:
    """Of a red task as dbt says of each; what dbt did not get to is neither well nor failed."""
    tasks = [task("silver.orders.run", "success"), task("silver.items.run", "failed")]
    nodes = {
        "silver.orders.run": {"o": ("model", ""), "o1": ("test", ""), "o2": ("test", "")},
        "silver.items.run": {
            "i": ("model", "success"),
            "i1": ("test", "fail"),
            "i2": ("test", "warn"),
            "i3": ("test", "skipped"),
        },
    }
    assert count_nodes(tasks, nodes) == "2 models built, 3 tests passed, 1 test failed"


def test_the_message_of_a_failure_is_dbts_own() -> None:
    """The reason is the exception, without the name that Airflow puts before its text."""
    lines = [
        LogLine(time=None, level="info", text="Running with dbt", error=""),
        LogLine(
            time=None,
            level="error",
            text="Task failed with exception",
            error="NodeFailed: orders: Database Error\n  no",
        ),
    ]
    assert message_in(lines) == "orders: Database Error\n  no"
    assert message_in([]).startswith("No log")
