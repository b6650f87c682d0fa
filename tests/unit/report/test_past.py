"""The runs before: since when something fails, and how long it usually takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report.conftest import START, MakeRun, planned

from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_HELD, NODE_IDLE, NODE_WARN
from goldsmith.report.past import RUNS, Past
from goldsmith.report.rows import rows_of
from goldsmith.report.strips import line, run_bars, strip
from goldsmith.report.summary import NodeSum, Summary
from goldsmith.results.record import NodeResult

Ended = Callable[..., NodeResult]
A = "model.shop.a"
OF_LETTER = {"g": NODE_GOOD, "w": NODE_WARN, "b": NODE_BAD, "h": NODE_HELD, "i": NODE_IDLE}


def day(number: int) -> str:
    """When a run began."""
    return (START + timedelta(days=number)).isoformat()


def summary_of(number: int, letter: str, *, seconds: float = 1.0, red_tasks: tuple[str, ...] = ()) -> Summary:
    """A run in which `a` did as the letter says; without it for a space."""
    nodes = {A: NodeSum(OF_LETTER[letter], seconds, None)} if letter.strip() else {}
    return Summary(
        run_id=f"r{number}",
        started=day(number),
        seconds=60,
        is_red=letter == "b",
        nodes=nodes,
        red_tasks=red_tasks,
    )


def past_of(letters: str) -> Past:
    """A run, the last letter, after others, each of which knew its own past."""
    kept: list[Summary] = []
    for number, letter in enumerate(letters[:-1]):
        kept.insert(0, summary_of(number, letter).after(kept[:RUNS]))
    return Past.of(summary_of(len(letters) - 1, letters[-1]), kept[:RUNS])


def test_a_failure_says_since_when_and_how_often() -> None:
    """Runs that did not get to the node neither count nor end the row; green ones, and warnings, do."""
    assert past_of("ggb").failures(A) == (day(2), day(2), 1, day(2), "r2")
    assert past_of("gbbb").failures(A) == (day(1), day(3), 3, day(1), "r1")
    assert past_of("bgbb").failures(A) == (day(0), day(3), 2, day(2), "r2")
    assert past_of("bwb").failures(A) == (day(0), day(2), 1, day(2), "r2")
    assert past_of("gbhib").failures(A) == (day(1), day(4), 2, day(1), "r1")
    assert past_of("gbh").failures(A) == (day(1), day(1), 1, day(1), "r1")
    assert past_of("gbg").failures(A) == (day(1), day(1), 0, "", "")
    assert past_of("ggg").failures(A) is None
    assert past_of("bb ").failures(A) is None  # it is no longer in the project


def test_a_row_that_is_longer_than_what_is_read_is_known() -> None:
    """Each summary knows the failures before it."""
    past = past_of("g" + "b" * 50)
    assert past.failures(A) == (day(1), day(50), 50, day(1), "r1")
    assert (len(past.runs), past.times_failed(A)) == (RUNS, RUNS)


def test_a_run_that_was_repaired_later_ends_the_row() -> None:
    """What the kept summaries say counts, not what a later one of them remembers."""
    first, second = summary_of(0, "g").after(()), summary_of(1, "b")
    third = summary_of(2, "b").after([second.after([first]), first])
    repaired = summary_of(1, "g").after([first])
    assert third.failures[A].in_a_row == 2
    assert Past.of(summary_of(3, "b"), [third, repaired, first]).failures(A) == (
        day(2),
        day(3),
        2,
        day(2),
        "r2",
    )


def test_a_task_that_is_no_node_has_a_row_too() -> None:
    """It is forgotten when it is not red."""
    load = "ingest.orders.load"
    runs = [summary_of(number, "g", red_tasks=(load,)) for number in range(2)]
    third = summary_of(2, "g", red_tasks=(load,))
    assert Past.of(third, [runs[1], runs[0]]).failures(load) == (day(0), day(2), 3, day(0), "r0")
    assert Past.of(summary_of(2, "g"), [runs[1], runs[0]]).failures(load) is None


@given(st.text(alphabet="gwbhi", min_size=1, max_size=60))
def test_what_is_carried_from_run_to_run_is_what_all_runs_say(letters: str) -> None:
    """However many of them are read."""
    failures = past_of(letters).failures(A)
    ran = [number for number, letter in enumerate(letters) if letter in "gwb"]
    bad = [number for number in ran if letters[number] == "b"]
    row: list[int] = []
    for number in reversed(ran):
        if letters[number] != "b":
            break
        row.insert(0, number)
    if not bad:
        assert failures is None
        return
    assert failures is not None
    assert (failures.first, failures.last) == (day(bad[0]), day(bad[-1]))
    assert (failures.in_a_row, failures.since) == (len(row), day(row[0]) if row else "")


def test_what_is_usual_is_the_median_of_the_runs_before() -> None:
    """Of those in which the node was built; three of them are needed. A failure is often quick, and says nothing."""
    times = [("g", 4.0), ("w", 2.0), ("b", 0.1), ("h", 0.0), ("g", 3.0)]
    earlier = [summary_of(9 - at, letter, seconds=took) for at, (letter, took) in enumerate(times)]
    assert Past.of(summary_of(10, "g"), earlier).usual(A) == 3.0
    assert Past.of(summary_of(10, "g"), earlier[:4]).usual(A) is None


def test_a_strip_has_one_path_for_each_colour() -> None:
    """The last run is on the right; runs that did not know the node are gaps."""
    assert strip(list(past_of("g" * 20).sums(A))) == (("good", "M0 5h80"),)
    assert strip(list(past_of("g g bbg").sums(A))) == (
        ("good", "M52 5h4M60 5h4M76 5h4"),
        ("bad", "M68 5h8"),
    )
    assert strip([None]) == ()


def test_a_line_runs_over_the_seconds_of_the_runs() -> None:
    """From the first run in which the node ran to this one; the longest time is at the top."""
    sums = [NodeSum(NODE_GOOD, took, None) for took in (1.0, 2.0, 4.0)]
    assert line(sums) == "M68 10L72 7 76 1"
    assert line([sums[0], None, NodeSum(NODE_HELD, 0.0, None), sums[2]]) == "M64 10L76 1"
    assert line(sums[:1]) == ""
    quick = [NodeSum(NODE_GOOD, took, None) for took in (0.01, 0.02)]
    assert line(quick) == "M72 13L76 13"  # a line up and down would show noise


def test_a_bar_of_a_run_says_how_it_ended(make_run: MakeRun, ended: Ended) -> None:
    """A green run in which something failed is not plainly green."""
    node = planned("a", "bronze")
    states = {node.task_id: "failed"}
    runs = [
        make_run([node], [ended(node, "success")]),
        make_run([node], [ended(node, "error")], states),
        make_run([node], [ended(node, "error")], {**states, "bronze.gate": "failed"}),
    ]
    summaries = [Summary.of(run) for run in runs]
    bars = run_bars(Past.of(summaries[2], [summaries[1], summaries[0]]))
    assert [(bar.style, bar.said, bar.x) for bar in bars] == [
        ("good", "success", 0),
        ("warn", "success, 1 tolerated", 9),
        ("bad", "failed, with 1 failed node", 18),
    ]


def test_a_row_knows_what_is_slower_than_usual(make_run: MakeRun, ended: Ended) -> None:
    """By half and by a second; of a test it knows how many rows failed, and no line."""
    slow, quick = planned("slow", "bronze"), planned("quick", "bronze")
    test = planned("t", "bronze", kind="test")
    earlier = [
        Summary.of(
            make_run(
                [slow, quick, test],
                [
                    ended(slow, "success", seconds=4),
                    ended(quick, "success", seconds=0.1),
                    ended(test, "fail", failures=number),
                ],
            )
        )
        for number in (3, 2, 1)
    ]
    run = make_run(
        [slow, quick, test],
        [
            ended(slow, "success", seconds=8),
            ended(quick, "success", seconds=0.2),
            ended(test, "fail", failures=4),
        ],
    )
    rows = rows_of(run, Past.of(Summary.of(run), earlier))
    found = {row.facts.node.name: row for row in rows.values()}
    assert (found["slow"].usual, found["slow"].change, found["slow"].is_slower) == (4, 1, True)
    assert (found["quick"].usual, found["quick"].change, found["quick"].is_slower) == (0.1, 1, False)
    assert (found["t"].failing, found["t"].line, found["t"].times_failed) == ((1, 2, 3, 4), "", 4)
    assert found["slow"].line
