"""More than one local CSV: wildcards, JSON lines, Parquet, object storage; each with the guarantees of a CSV file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from tests.integration.lake import Lake, counts

from goldsmith.errors import EnvironmentProblem, IngestError
from goldsmith.ingest import load as loading
from goldsmith.ingest.chunks import split
from goldsmith.ingest.file import load_file
from goldsmith.ingest.results import IngestResult
from goldsmith.ingest.tables import prepare
from goldsmith.spec.ingest import Ingest

pytestmark = pytest.mark.integration


def loaded(lake: Lake, file: str, **more: Any) -> IngestResult:
    """Load files into `things`."""
    ingest = lake.ingest().model_copy(update={"file": file, **more})
    return load_file(lake.conninfo, Ingest.model_validate(ingest.model_dump()), lake.root)


def rejected(lake: Lake) -> list[tuple[object, ...]]:
    """File, line and reason of rejected rows."""
    return lake.query("select file, line, reason from {}.rejected_rows order by 1, 2")


def csv(lake: Lake, name: str, rows: str) -> None:
    """A CSV file."""
    (lake.root / name).parent.mkdir(parents=True, exist_ok=True)
    (lake.root / name).write_text(f"id,name,price\n{rows}")


def test_wildcards_are_one_load_in_which_the_later_file_wins(lake: Lake) -> None:
    """Counts for each file, rejected rows with their own file and line; a second load changes nothing."""
    csv(lake, "in/2026-01.csv", "1,a,1\n2,b,2\n")
    csv(lake, "in/2026-02.csv", "2,B,2\nbad\n3,c,3\n")
    csv(lake, "in/deep/2026-00.csv", "1,first,0\n")
    csv(lake, "in/.hidden.csv", "9,x,9\n")
    csv(lake, "in/2026-03.csv.tmp", "8,x,9\n")
    result = loaded(lake, "in/**/*.csv")
    assert counts(result) == (6, 3, 0, 0, 2, 1)
    assert result.files == {"in/2026-01.csv": 2, "in/2026-02.csv": 3, "in/deep/2026-00.csv": 1}
    assert lake.things() == {"1": ("first", "0"), "2": ("B", "2"), "3": ("c", "3")}
    assert rejected(lake) == [("in/2026-02.csv", 3, "1 field, expected 3")]
    again = loaded(lake, "in/**/*.csv")
    assert (again.unchanged, again.inserted, again.changed) == (3, 0, 0)
    assert len(rejected(lake)) == 1
    csv(lake, "in/2026-04.csv", "4,d,4\n")
    assert loaded(lake, str(lake.root / "in" / "2026-0[34].csv")).inserted == 1


def test_many_small_files_are_few_chunks_and_a_large_one_is_several(lake: Lake) -> None:
    """Each chunk is a task and two tables."""
    for number in range(300):
        csv(lake, f"in/{number:03}.csv", f"{number},a,1\n")
    csv(lake, "in/large.csv", "".join(f"{number},{'x' * 100},2\n" for number in range(1_000, 31_000)))
    ingest = lake.ingest().model_copy(update={"file": "in/*.csv"})
    chunks = split(ingest, lake.root)
    assert [len(chunk.parts) for chunk in chunks] == [300, 1, 1, 1, 1]
    assert counts(loaded(lake, "in/*.csv"))[:2] == (30_300, 30_300)


def test_json_lines_keep_what_is_written(lake: Lake) -> None:
    """Numbers digit by digit, nested values as JSON, null and what is missing as null; a bad line is rejected."""
    lines = [
        '{"id": 1, "name": "a", "price": 1.10}',
        '{"price": 12345678901234567890.123456789, "id": 2, "name": null}',
        '{"id": "3", "name": {"x": [1.0, true, null], "y": "ä\\"b"}}',
        '{"id": 4, "name": "", "price": false}',
        "not json",
        "[1]",
        '{"id": null, "name": "no key"}',
        '{"id": 5, "nme": "x"}',
        '{"id": 6, "name": "a", "name": "b"}',
        '{"id": 7, "name": "nul \\u0000"}',
        '{"id": 8, "price": NaN}',
        "",
        '{"id": 9, "name": "\\ud800"}',
        '{"id": 10, "name": "comma, \\"quote\\" and\\nline"}',
    ]
    (lake.root / "things.jsonl").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    result = loaded(lake, "things.jsonl")
    assert counts(result) == (14, 5, 0, 0, 0, 9)
    assert lake.things() == {
        "1": ("a", "1.10"),
        "2": (None, "12345678901234567890.123456789"),
        "3": ('{"x": [1.0, true, null], "y": "ä\\"b"}', None),
        "4": ("", "false"),
        "10": ('comma, "quote" and\nline', None),
    }
    reasons = {line: reason for _, line, reason in rejected(lake)}
    assert list(reasons) == [5, 6, 7, 8, 9, 10, 11, 12, 13]
    for line, said in (
        (5, "no JSON: "),
        (6, "no JSON object"),
        (7, "empty key column id"),
        (8, "unexpected key nme"),
    ):
        assert str(reasons[line]).startswith(said)
    for line, said in (
        (9, "name stands twice"),
        (10, "NUL byte"),
        (11, "NaN"),
        (12, "empty line"),
        (13, "surrogate"),
    ):
        assert said in str(reasons[line])


def test_json_lines_may_be_compressed_and_have_long_lines(lake: Lake) -> None:
    """One that is longer than a record may be is rejected, without being held in memory."""
    long = json.dumps({"id": "2", "name": "x" * 3_000_000})
    text = f'{{"id": 1}}\n{long}\n{{"id": 3}}'
    (lake.root / "things.ndjson.gz").write_bytes(gzip.compress(text.encode()))
    assert counts(loaded(lake, "things.ndjson.gz")) == (3, 2, 0, 0, 0, 1)
    [(_, line, reason)] = rejected(lake)
    assert (line, "longer than `max_record_mb: 1`" in str(reason)) == (2, True)


def parquet(path: Path, **columns: Any) -> None:
    """A Parquet file with row groups of two rows."""
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)


def test_parquet_values_are_text_as_postgresql_reads_it(lake: Lake) -> None:
    """Of every type; nested values are JSON, and an empty key is rejected with the number of its row."""
    columns = ("id", "big", "money", "day", "moment", "raw", "yes", "many", "word", "part")
    parquet(
        lake.root / "things.parquet",
        word=pa.array(["a", None, ""]).dictionary_encode(),
        id=pa.array([1, 2, None], pa.int64()),
        big=pa.array([2**62, None, 0], pa.int64()),
        money=pa.array([Decimal("1.10"), Decimal("-0.05"), None], pa.decimal128(38, 2)),
        day=pa.array([date(2026, 2, 3), None, None]),
        moment=pa.array([datetime(2026, 2, 3, 4, 5, 6, 789, UTC), None, None], pa.timestamp("us", "UTC")),
        raw=pa.array([b"\x00\xff", None, None]),
        yes=pa.array([True, False, None]),
        many=pa.array([[1, 2], None, []]),
        part=pa.array([0.1, None, None]),
    )
    result = loaded(lake, "things.parquet", columns=columns)
    assert counts(result) == (3, 2, 0, 0, 0, 1)
    assert rejected(lake) == [("things.parquet", 3, "empty key column id")]
    [row] = lake.query(
        "select big::bigint, money::numeric, day::date, moment::timestamptz = '2026-02-03 04:05:06.000789+00', "
        "raw::bytea, yes::boolean, many::json->>1, word, part::float8 from {}.things where id = '1'"
    )
    assert row == (2**62, Decimal("1.10"), date(2026, 2, 3), True, b"\x00\xff", True, "2", "a", 0.1)
    assert lake.query("select big, money, word from {}.things where id = '2'") == [(None, "-0.05", None)]


@pytest.mark.parametrize("name", ["things.jsonl", "things.parquet"])
def test_a_file_that_changes_between_its_steps_is_not_loaded(lake: Lake, name: str) -> None:
    """As with CSV: what was checked is what is loaded."""
    path = lake.root / name

    def write(word: str) -> None:
        if name.endswith("jsonl"):
            path.write_text(json.dumps({"id": 1, "name": word}) + "\n")
        else:
            parquet(path, id=[1], name=[word], price=["1"])

    write("one")
    ingest = lake.ingest().model_copy(update={"file": name})
    [chunk] = split(ingest, lake.root)
    prepare(lake.connect, ingest, "run")
    write("two")
    with pytest.raises(IngestError, match="has changed since it was split"):
        loading.load(lake.connect, ingest, lake.root, run="run", chunk=chunk)


@pytest.mark.parametrize(
    ("file", "content", "more", "said"),
    [
        ("in/*.csv", None, {}, "in/*.csv: no file matches; expected at least one."),
        ("a.parquet", b"id,name\n", {}, "a.parquet is no Parquet file, or is damaged"),
        ("a.parquet", None, {}, "a.parquet, line 1: no such file"),
        ("a.jsonl", b"id,name,price\n1,a,2\n", {}, "a.jsonl, line 1: no JSON object: 'id,name,price'"),
        ("a.jsonl", b'[{"id": 1}]', {}, "jq -c '.[]'"),
        ("a.csv", b"PAR1", {}, "is a Parquet file; expected text"),
        ("a.*", b'{"id": 1}\n', {"format": "jsonl"}, ""),
    ],
)
def test_what_cannot_be_read_is_said(
    lake: Lake, file: str, content: bytes | None, more: dict[str, Any], said: str
) -> None:
    """Each with the file and what to do."""
    if content is not None:
        (lake.root / file.replace("*", "dat")).write_bytes(content)
    if not said:
        assert counts(loaded(lake, file, **more))[0] == 1
        return
    with pytest.raises(IngestError) as caught:
        loaded(lake, file, **more)
    assert said in str(caught.value)
    assert caught.value.hint


def test_files_of_several_formats_under_one_pattern_are_refused(lake: Lake) -> None:
    """Nobody could say which columns a row has."""
    csv(lake, "in/a.csv", "1,a,1\n")
    (lake.root / "in" / "b.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(IngestError, match=r"matches files of several formats: in/a\.csv"):
        loaded(lake, "in/*")


def test_another_column_in_one_of_many_files_stops_the_load(lake: Lake) -> None:
    """Nothing is loaded of the others either."""
    csv(lake, "in/a.csv", "1,a,1\n")
    (lake.root / "in" / "b.csv").write_text("id,name,prize\n2,b,2\n")
    with pytest.raises(IngestError, match=r"in/b\.csv, line 1: the header is"):
        loaded(lake, "in/*.csv")
    parquet(lake.root / "in" / "c.parquet", id=[1], name=["x"], prize=["2"])
    with pytest.raises(
        IngestError, match=r"in/c\.parquet: the columns are id, name, prize; .*missing: price"
    ):
        loaded(lake, "in/*.parquet")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server; one for all, because its address is remembered."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket, to which the Airflow connection `lake_s3` leads."""
    where = {"endpoint_url": s3, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "key", "password": "aws-secret", "extra": where}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE_S3", json.dumps(connection))
    client = boto3.client("s3", **where, aws_access_key_id="key", aws_secret_access_key="aws-secret")
    client.create_bucket(Bucket="raw")
    return client


def test_object_storage_is_read_by_an_airflow_connection(lake: Lake, bucket: Any) -> None:
    """One object, wildcards, every format; names keep the connection and say no secret."""
    put = bucket.put_object
    put(Bucket="raw", Key="in/1.csv", Body=b"id,name,price\n1,a,1\nbad\n")
    put(Bucket="raw", Key="in/2.csv.gz", Body=gzip.compress(b"id,name,price\n1,A,1\n2,b,2\n"))
    put(Bucket="raw", Key="in/x.jsonl", Body=b'{"id": 3}\n')
    result = loaded(lake, "s3://lake_s3@raw/in/*.csv*")
    assert counts(result) == (4, 2, 0, 0, 1, 1)
    assert result.files == {"s3://lake_s3@raw/in/1.csv": 2, "s3://lake_s3@raw/in/2.csv.gz": 2}
    assert rejected(lake) == [("s3://lake_s3@raw/in/1.csv", 3, "1 field, expected 3")]
    assert counts(loaded(lake, "s3://lake_s3@raw/in/x.jsonl"))[:2] == (1, 1)
    ingest = lake.ingest().model_copy(update={"file": "s3://lake_s3@raw/in/1.csv"})
    [chunk] = split(ingest, lake.root)
    assert "aws-secret" not in str(chunk)
    prepare(lake.connect, ingest, "run")
    put(Bucket="raw", Key="in/1.csv", Body=b"id,name,price\n1,a,2\nbad\n")
    with pytest.raises(IngestError, match="has changed since it was split"):
        loading.load(lake.connect, ingest, lake.root, run="run", chunk=chunk)


def test_objects_that_come_later_are_seen_and_hidden_ones_are_not(lake: Lake, bucket: Any) -> None:
    """Though the process has listed the bucket before; and as on disk, a pattern may name the dot."""
    pattern = "s3://lake_s3@raw/later/**/*.csv"
    for name in ("later/.2.csv", "later/.tmp/3.csv", "later/_SUCCESS"):
        bucket.put_object(Bucket="raw", Key=name, Body=b"id,name,price\n2,a,1\n")
    with pytest.raises(IngestError, match="no file matches"):
        loaded(lake, pattern)
    bucket.put_object(Bucket="raw", Key="later/4.csv", Body=b"id,name,price\n4,a,1\n")
    assert counts(loaded(lake, pattern))[:2] == (1, 1)
    assert counts(loaded(lake, "s3://lake_s3@raw/later/.*.csv"))[:2] == (1, 1)


@pytest.mark.parametrize(
    ("file", "error", "said"),
    [
        ("s3://lake_s3@raw/none.csv", IngestError, "no such object"),
        ("s3://lake_s3@raw/none/*.csv", IngestError, "no file matches"),
        ("s3://nobody@raw/in.csv", EnvironmentProblem, "Airflow has no connection 'nobody'"),
        ("s3://lake_s3@no-bucket/in.csv", IngestError, "no such object"),
        ("nostore://lake@raw/in.csv", EnvironmentProblem, "cannot be read"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_object_storage_that_cannot_be_used_is_said(
    lake: Lake, file: str, error: type[Exception], said: str
) -> None:
    """With the URL, and what to look at."""
    with pytest.raises(error) as caught:
        loaded(lake, file)
    assert said in str(caught.value)
    assert file in str(caught.value)


def test_files_by_url_are_files(lake: Lake) -> None:
    """As other tools name them."""
    csv(lake, "in/a.csv", "1,a,1\n")
    assert counts(loaded(lake, f"file://{lake.root}/in/*.csv"))[:2] == (1, 1)
