"""What is kept of a node is what is read, wherever it lies and whatever its ids are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from goldsmith.errors import EnvironmentProblem, UnreadableResult
from goldsmith.results.names import file_name, folder_name, task_of
from goldsmith.results.record import FailingRows, NodeResult
from goldsmith.results.store import ResultStore

RUN = "manual__2026-11-20T13:00:00+00:00"
TASK = "silver.orders.run"
Make = Callable[..., NodeResult]


@pytest.fixture(params=["folder", "object storage"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ResultStore:
    """A store of each kind; fsspec's storage in memory is object storage without a server."""
    if request.param == "folder":
        return ResultStore(str(tmp_path / "results"))
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

    attach("memory", "bucket_access", fs=MemoryFileSystem())
    return ResultStore(f"memory://bucket_access@{uuid4().hex}/p")


def test_a_node_that_runs_again_adds_to_its_file(store: ResultStore, result: Make) -> None:
    """Oldest first, with everything that was in the records; other tasks and runs are left alone."""
    rows = FailingRows(columns=("id", "name"), rows=(("1", "ä"), ("2", "")))
    first = result(status="fail", failures=2, failing_rows=rows, rows=None)
    store.write("shop", RUN, [first, result(task_id="gold.revenue.run")], append=False)
    store.write("shop", RUN, [result()], append=True)
    assert store.read("shop", RUN, TASK) == (first, result())
    assert store.task_ids("shop", RUN) == ("gold.revenue.run", TASK)
    assert store.read("shop", RUN + "1", TASK) == ()
    assert store.task_ids("shop", RUN + "1") == ()


@pytest.mark.parametrize("at_once", [True, False])
def test_failing_rows_that_come_later_take_their_place(
    store: ResultStore, result: Make, *, at_once: bool
) -> None:
    """The same result is no second one; an earlier one with another invocation is."""
    rows = FailingRows(columns=("id",), rows=(("1",),))
    before, bare = result(status="fail", invocation_id="i-0"), result(status="fail")
    whole = result(status="fail", failing_rows=rows)
    for results in [[before, bare, whole]] if at_once else [[before], [bare], [whole]]:
        store.write("shop", RUN, results, append=True)
    assert store.read("shop", RUN, TASK) == (before, whole)


def test_a_build_from_the_start_replaces(store: ResultStore, result: Make) -> None:
    """A whole run that is cleared is a new one; of one task several records are kept in their order."""
    store.write("shop", RUN, [result(status="error")], append=False)
    again = [result(), result(unique_id="test.shop.unique", kind="test")]
    store.write("shop", RUN, again, append=False)
    assert store.read("shop", RUN, TASK) == tuple(again)


@pytest.mark.parametrize("content", [b"", b'{"records": [{"unique_', b"[]", b'{"records": [1]}', b"\xff"])
def test_a_damaged_file_is_named_and_does_not_stop_a_build(
    tmp_path: Path, result: Make, content: bytes
) -> None:
    """Reading says which file it is; the next record replaces it."""
    store = ResultStore(str(tmp_path))
    store.write("shop", RUN, [result()], append=False)
    path = Path(store.location("shop", RUN, TASK))
    path.write_bytes(content)
    with pytest.raises(UnreadableResult, match=str(path)):
        store.read("shop", RUN, TASK)
    store.write("shop", RUN, [result()], append=True)
    assert store.read("shop", RUN, TASK) == (result(),)


def test_a_writer_that_is_killed_leaves_no_torn_file(tmp_path: Path, result: Make) -> None:
    """A file read while its writer works, and after it was killed, is a whole one."""
    long = "x" * 2_000_000
    code = (
        "import json, sys; from goldsmith.results.store import ResultStore;"
        "from goldsmith.results.record import NodeResult;"
        "store = ResultStore(sys.argv[1]); record = NodeResult.from_dict(json.load(sys.stdin))\n"
        "while True: store.write('shop', 'r', [record], append=False)"
    )
    store = ResultStore(str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE) as writer:
        assert writer.stdin is not None
        writer.stdin.write(json.dumps(result(compiled_sql=long).to_dict()).encode())
        writer.stdin.close()
        deadline, seen = time.monotonic() + 20, 0
        while seen < 50 and time.monotonic() < deadline:
            seen += len(store.read("shop", "r", TASK))
        writer.send_signal(signal.SIGKILL)
    assert seen >= 50
    assert store.read("shop", "r", TASK)[0].compiled_sql == long
    assert store.task_ids("shop", "r") == (TASK,)


IDS = st.one_of(
    st.text(min_size=1, max_size=250),
    st.sampled_from(["..", ".", "...", "../..", "/etc/passwd", "a/../../b", "~", "%2E%2E", "a%2Fb", "\x00"]),
    st.text("ä.:+/", min_size=100, max_size=250),
)


@given(first=IDS, second=IDS)
def test_every_id_has_a_plain_name_of_its_own(first: str, second: str) -> None:
    """One path part that file systems take, the same for no other id; the task can be told from it."""
    name = file_name(first)
    assert len(os.fsencode(name)) <= 255
    assert os.path.basename(name) == name  # noqa: PTH119
    assert set(folder_name(first)) - {"."}
    assert task_of(name) in (first, None)
    assume(first != second)
    assert file_name(second) != name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples."""
    return tmp_path_factory.mktemp("results")


@settings(max_examples=50)
@given(dag_id=IDS, run_id=IDS, task_id=IDS)
def test_no_id_leads_out_of_the_folder(
    folder: Path, result: Make, dag_id: str, run_id: str, task_id: str
) -> None:
    """Whatever ids an address holds, what is read and written lies two folders below the results path."""
    store, record = ResultStore(str(folder / "results")), result(task_id=task_id)
    path = Path(store.location(dag_id, run_id, task_id))
    assert path.resolve().parents[2] == folder / "results"
    store.write(dag_id, run_id, [record], append=False)
    assert path.is_file()
    assert store.read(dag_id, run_id, task_id) == (record,)
    assert task_id in store.task_ids(dag_id, run_id)
    assert [one.name for one in folder.iterdir()] == ["results"]


def test_old_runs_are_pruned_and_only_those(tmp_path: Path, result: Make) -> None:
    """By the time of the last write, the oldest first, no more at once than told."""
    store = ResultStore(str(tmp_path))
    for days, run in enumerate(("new", "old", "older", "oldest")):
        store.write("shop", run, [result()], append=False)
        at = time.time() - days * 10 * 86_400
        os.utime(tmp_path / "shop" / run, (at, at))
    for kept, name in (("reported", "summary.gz"), ("~incidents", "a.json")):
        (tmp_path / "shop" / kept).mkdir()
        (tmp_path / "shop" / kept / name).touch()
        os.utime(tmp_path / "shop" / kept, (0, 0))
    assert store.prune("shop", keep_days=5, limit=2) == 2
    left = sorted(one.name for one in (tmp_path / "shop").iterdir())
    assert left == ["new", "old", "reported", "~incidents"]
    assert store.prune("nobody", keep_days=5) == 0


def test_a_path_that_cannot_be_written_or_read_says_so(tmp_path: Path, result: Make) -> None:
    """A file in the place of the folder stands for a missing mount, also for root."""
    (tmp_path / "file").touch()
    store = ResultStore(str(tmp_path / "file"))
    with pytest.raises(EnvironmentProblem, match=str(tmp_path / "file")):
        store.write("shop", RUN, [result()], append=False)
    with pytest.raises(EnvironmentProblem, match=str(tmp_path / "file")):
        store.read("shop", RUN, TASK)


def test_storage_that_does_not_exist_is_named(result: Make) -> None:
    """With what a URL needs, in each direction."""
    store = ResultStore("no-such-protocol://bucket/prefix")
    with pytest.raises(EnvironmentProblem, match="no-such-protocol://bucket/prefix") as caught:
        store.write("shop", RUN, [result()], append=False)
    assert "s3://connection@bucket/prefix" in caught.value.hint
    with pytest.raises(EnvironmentProblem, match="no-such-protocol://bucket/prefix"):
        store.read("shop", RUN, TASK)
    with pytest.raises(EnvironmentProblem, match="no-such-protocol://bucket/prefix"):
        store.task_ids("shop", RUN)


def test_secrets_that_airflow_knows_are_masked(tmp_path: Path, result: Make) -> None:
    """In every text of a record, as in a task's log."""
    code = (
        "import json, sys; from airflow.sdk.log import mask_secret;"
        "from airflow.sdk._shared.secrets_masker import _secrets_masker;"
        "from goldsmith.results.store import ResultStore; from goldsmith.results.record import NodeResult;"
        "_secrets_masker().add_mask('hunter2hunter2');"
        "record = NodeResult.from_dict(json.load(sys.stdin));"
        "ResultStore(sys.argv[1]).write('shop', 'r', [record], append=False)"
    )
    secret = "password is hunter2hunter2"
    rows = FailingRows(columns=("dsn",), rows=((secret,),))
    record = result(message=secret, lines=(secret,), compiled_sql=secret, command=secret, failing_rows=rows)
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], input=json.dumps(record.to_dict()).encode(), check=True
    )
    text = Path(ResultStore(str(tmp_path)).location("shop", "r", TASK)).read_text(encoding="utf-8")
    assert "hunter2" not in text
    assert text.count("password is ***") == 5
    (found,) = ResultStore(str(tmp_path)).read("shop", "r", TASK)
    assert found.relation == record.relation
