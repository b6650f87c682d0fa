"""What a person is asked about a layer that is blocked."""

from __future__ import annotations

from collections.abc import Callable

from goldsmith.gates.question import FailedTask, body_of
from goldsmith.gates.verdict import Case, judge

MakeCase = Callable[..., Case]


def test_failed_tasks_come_first_and_held_back_ones_are_a_number(case: MakeCase) -> None:
    """Each with its message and a link, so that the buttons below are seen without scrolling."""
    verdict = judge(
        case(failed=("bronze.a.t1",), other={"bronze.a.t2": "upstream_failed", "bronze.b.run": None})
    )
    failed = FailedTask(
        task_id="bronze.a.t1", message="Got 2 results,\nconfigured to fail `if` != 0", url="http://x/t1"
    )
    body = body_of(verdict, [failed])
    assert body.splitlines()[0] == (
        "- [`bronze.a.t1`](http://x/t1): `Got 2 results, configured to fail 'if' != 0`"
    )
    assert "Not green besides: 1 task of bronze" in body
    assert "bronze.a.t2" not in body
    assert "What blocks: `failed_tests` 1, at most 0; `not_run` 1, at most 0." in body


def test_a_long_list_is_cut(case: MakeCase) -> None:
    """Of a task nothing is known of, the name has to do."""
    verdict = judge(case(failed=("bronze.a.t1",)))
    body = body_of(verdict, [FailedTask(task_id=f"t{n}", message="x" * 500, url="") for n in range(20)])
    assert "and 12 more" in body
    assert len(body) < 2500
    assert body_of(verdict, [FailedTask(task_id="t", message="", url="")]).startswith("- `t`\n")
