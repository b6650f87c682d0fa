"""The repository's own dbt project, built by the real dbt from the shipped files in a real PostgreSQL."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from num2words import num2words
from psycopg import sql

from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.project import DbtProject
from goldsmith.stack.postgres import PORT, SUPERUSER, EmbeddedPostgres

pytestmark = pytest.mark.integration

KEYS = {
    "transactions": ["transaction_id"],
    "customers": ["customer_id"],
    "products": ["product_id"],
    "exchange_rates": ["currency", "rate_time"],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Warehouse:
    """A PostgreSQL server with raw data, and dbt connected to it."""

    server: EmbeddedPostgres
    project: DbtProject
    target_path: Path

    def dbt(self, *arguments: str) -> str:
        """Run dbt and return what it printed; fail the test when dbt fails."""
        named = {
            "WAREHOUSE_HOST": str(self.server.socket_dir),
            "WAREHOUSE_PORT": str(PORT),
            "WAREHOUSE_USER": SUPERUSER,
            "WAREHOUSE_DATABASE": "warehouse",
            "USER": "anna.b",
            # The manifest of the shared copy is other tests' business.
            "DBT_TARGET_PATH": str(self.target_path),
        }
        done = subprocess.run(
            [dbt_executable(), "--no-version-check", "--no-use-colors", *arguments],
            cwd=self.project.path,
            env={**os.environ, **named},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self.server.conninfo("warehouse")) as connection:
            return connection.execute(sql.SQL(statement)).fetchall()

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with psycopg.connect(self.server.conninfo("warehouse")) as connection:
            connection.execute(sql.SQL(statement))

    def contents(self) -> dict[str, int]:
        """The number of rows of every table and view that dbt builds for target prod."""
        relations = self.query(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('bronze', 'silver', 'gold', 'marts')"
        )
        return {
            f"{schema}.{name}": self.query(f'select count(*) from "{schema}"."{name}"')[0][0]
            for schema, name in relations
        }


@pytest.fixture(scope="module")
def warehouse(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, sample: DbtProject
) -> Iterator[Warehouse]:
    """The shipped files as raw tables, malformed lines set aside, built once for target prod."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "server", databases=("warehouse",))
    server.start()
    try:
        with psycopg.connect(server.conninfo("warehouse")) as connection:
            connection.execute("create schema data_lake")
            connection.execute(
                "create table data_lake.rejected_rows (file text, line bigint, reason text, raw text,"
                " table_name text, load_timestamp timestamptz default now())"
            )
            for table in KEYS:
                _load(connection, table, repository / "include" / "sample_data" / f"{table}.csv")
        built = Warehouse(server=server, project=sample, target_path=tmp_path_factory.mktemp("target"))
        built.dbt("build", "--target", "prod")
        yield built
    finally:
        server.destroy()


def _load(connection: psycopg.Connection, table: str, path: Path) -> None:
    """Load a file as ingest does: text columns, the last line of a key wins."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        last: dict[tuple[str, ...], list[str]] = {}
        for fields in reader:
            if len(fields) == len(header):
                last[tuple(fields[header.index(name)] for name in KEYS[table])] = fields
                continue
            connection.execute(
                "insert into data_lake.rejected_rows values (%s, %s, 'wrong number of fields', %s, %s)",
                (path.name, reader.line_num, ",".join(fields), table),
            )
    name, columns = sql.Identifier("data_lake", table), sql.SQL(", ").join(map(sql.Identifier, header))
    typed = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(column)) for column in header)
    key = sql.SQL(", ").join(map(sql.Identifier, KEYS[table]))
    create = "create table {} ({}, load_timestamp timestamptz not null default now(), primary key ({}))"
    connection.execute(sql.SQL(create).format(name, typed, key))
    with connection.cursor().copy(sql.SQL("copy {} ({}) from stdin").format(name, columns)) as copy:
        for fields in last.values():
            copy.write_row([field or None for field in fields])


def test_a_second_build_changes_nothing(warehouse: Warehouse) -> None:
    """The incremental path is green as well, and leaves as many rows everywhere as there were."""
    before = warehouse.contents()
    # Every currency of the sample has rates, so nothing waits for one.
    assert {name for name, rows in before.items() if not rows} == {"silver.missing_rate"}
    printed = warehouse.dbt("build", "--target", "prod")
    assert "ERROR=0 SKIP=0" in printed
    assert warehouse.contents() == before


def test_prod_builds_into_the_layers_and_dev_into_the_developers_own(warehouse: Warehouse) -> None:
    """The default target keeps to schemas named after the developer, written as SQL likes names."""
    warehouse.dbt("build")
    schemas = {row[0] for row in warehouse.query("select schema_name from information_schema.schemata")}
    layers = {"bronze", "silver", "gold", "marts"}
    assert layers <= schemas
    assert {f"anna_b_{layer}" for layer in layers} <= schemas
    assert not {schema for schema in schemas if schema.startswith(("analytics", "prod"))}


def test_every_line_of_the_file_is_accounted_for(warehouse: Warehouse, repository: Path) -> None:
    """Ids of the file = facts + what is kept aside, each reason occurs, and malformed lines are counted."""
    path = repository / "include" / "sample_data" / "transactions.csv"
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:]
    outcomes = dict(warehouse.query("select outcome, row_count from marts.rpt_data_quality"))
    assert outcomes.pop("rejected_line") == sum(len(line) != 9 for line in lines)
    assert sum(outcomes.values()) == len({line[0] for line in lines if len(line) == 9})
    kept_aside = {"missing_quantity", "unreadable_value", "future_date", "orphan_reference"}
    assert {name for name, count in outcomes.items() if count > 0} == kept_aside | {"accepted"}
    facts = warehouse.query(
        "select (select count(*) from gold.fct_transactions) + (select count(*) from gold.fct_returns)"
    )
    assert facts == [(outcomes["accepted"],)]


def test_amounts_are_in_euro_by_the_rate_of_the_hour(warehouse: Warehouse) -> None:
    """Eight pieces at "five hundred and twenty-seven" SEK with 105.52 tax, at 0.089375: by hand."""
    rows = warehouse.query(
        "select quantity, unit_price, rate_to_eur, net_amount_eur, tax_amount_eur, gross_amount_eur"
        " from gold.fct_transactions where transaction_id = 'T0000000334'"
    )
    amounts = ("527.0000", "0.08937500", "376.81", "75.45", "452.26")
    assert rows == [(8, *map(Decimal, amounts))]


def test_a_correction_moves_a_row_out_of_missing_quantity(warehouse: Warehouse) -> None:
    """A quantity that arrives later turns the kept-aside transaction into a sale, and only that one."""
    before = warehouse.contents()
    [(key, currency)] = warehouse.query(
        "select transaction_id, currency from silver.missing_quantity order by transaction_id limit 1"
    )
    warehouse.execute(
        "update data_lake.transactions set quantity = '3', updated_at = '2026-11-19 00:00:00',"
        f" load_timestamp = now() where transaction_id = '{key}'"
    )
    warehouse.dbt("run", "--target", "prod", "--select", "int_transactions__cleaned+")
    after = warehouse.contents()
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed == {"silver.missing_quantity": -1, "gold.fct_transactions": 1}
    assert warehouse.query(
        f"select quantity, currency from gold.fct_transactions where transaction_id = '{key}'"
    ) == [(3, currency)]


def test_an_amount_too_large_for_the_facts_is_kept_aside(warehouse: Warehouse) -> None:
    """One absurd row is not read, and gold is built for everybody else."""
    before = warehouse.contents()
    [(key,)] = warehouse.query(
        "select transaction_id from gold.fct_transactions order by transaction_id limit 1"
    )
    warehouse.execute(
        "update data_lake.transactions set quantity = '999999999', unit_price = '999999999999',"
        f" load_timestamp = now() where transaction_id = '{key}'"
    )
    warehouse.dbt("build", "--target", "prod", "--select", "int_transactions__cleaned+")
    after = warehouse.contents()
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed == {"silver.unreadable_value": 1, "gold.fct_transactions": -1}


def test_corrected_rates_merge_into_what_a_full_build_gives(warehouse: Warehouse) -> None:
    """An earlier rate of an hour is not its last one, and a rate that became unreadable is none."""
    hours = "select currency, rate_hour, rate_to_eur, load_timestamp from silver.int_exchange_rates__hourly"
    build = ("build", "--target", "prod", "--select", "int_exchange_rates__hourly")
    insert = "insert into data_lake.exchange_rates (currency, rate_time, rate_to_eur, load_timestamp) values"
    correct = "update data_lake.exchange_rates set load_timestamp = now(), rate_to_eur ="
    # The rates of 14:00 are older than the newest by more than `lookback_hours`: no build looks at them again.
    warehouse.execute("update data_lake.exchange_rates set load_timestamp = now() - interval '2 days'")
    warehouse.execute(
        f"{insert} ('usd', '2031-01-01 14:00:00', '0.90', now() - interval '2 days'),"
        " ('USD', '2031-01-01 14:30:00', '0.92', now() - interval '2 days'),"
        " ('USD', '2031-01-01 15:00:00', '0.93', now() - interval '1 day'),"
        " ('USD', '2031-01-01 16:00:00', '0.94', now() - interval '1 day'),"
        " ('USD', '2031-01-01 16:30:00', '0.95', now() - interval '1 day')"
    )
    try:
        warehouse.dbt(*build, "--full-refresh")
        warehouse.execute(f"{correct} '0.91' where rate_time = '2031-01-01 14:00:00'")
        warehouse.execute(
            f"{correct} 'n/a' where rate_time in ('2031-01-01 15:00:00', '2031-01-01 16:30:00')"
        )
        warehouse.dbt(*build)
        merged = sorted(warehouse.query(hours))
        warehouse.dbt(*build, "--full-refresh")
        assert merged == sorted(warehouse.query(hours))
        rates = [rate for _, hour, rate, _ in merged if hour.year == 2031]
        assert rates == [Decimal("0.92"), None, Decimal("0.94")]
    finally:
        warehouse.execute("delete from data_lake.exchange_rates where rate_time like '2031-%'")
        warehouse.execute("update data_lake.exchange_rates set load_timestamp = now()")
        warehouse.dbt("run", "--full-refresh", *build[1:])


def test_freshly_loaded_sources_are_fresh(warehouse: Warehouse) -> None:
    """The shipped sample passes right after it was loaded."""
    assert warehouse.dbt("source", "freshness", "--target", "prod").count(" PASS freshness ") == 4


def test_every_number_below_a_million_is_read_from_words(warehouse: Warehouse) -> None:
    """The macro agrees with num2words, whatever the style; every number is checked, in one of four styles."""
    rendered = warehouse.dbt(
        "--quiet",
        "compile",
        "--inline",
        "select count(*), min(words) from spelled where {{ number_from_words('words') }} is distinct from n",
    )
    joint = "case when small.n < 100 then ' and ' else ', ' end"
    with psycopg.connect(warehouse.server.conninfo("warehouse")) as connection:
        connection.execute("create temp table base (n int, words text)")
        with connection.cursor().copy("copy base from stdin") as copy:
            for number in range(1000):
                copy.write_row((number, num2words(number)))
        # 999,999 is spelled as 999 thousand and 999 are; asking the library a million times takes minutes.
        connection.execute(f"""
            create temp table library as
            select large.n * 1000 + small.n as n, large.n as thousands, case
                when large.n = 0 then small.words
                when small.n = 0 then large.words || ' thousand'
                else large.words || ' thousand' || {joint} || small.words end as words
            from base as large cross join base as small
        """)
        for number, words in connection.execute("select n, words from library where n % 499 = 0"):
            assert words == num2words(number)
        connection.execute("""
            create table spelled as select n, case (n + thousands) % 4
                when 0 then words
                when 1 then upper(replace(words, ' and ', ' '))
                when 2 then initcap(replace(replace(words, '-', ' '), ',', ''))
                else '  ' || replace(words, ' ', '  ') || ' ' end as words
            from library
        """)
        connection.execute("analyze spelled")
        connection.execute("set jit = off")  # compiling 16 kB of expressions takes longer than running them
        assert connection.execute("select count(*) from spelled").fetchall() == [(1_000_000,)]
        assert connection.execute(rendered).fetchall() == [(0, None)]
        connection.execute("drop table spelled")


@pytest.mark.parametrize(
    "words",
    [
        "", "and", "hundred", "about forty", "twelve point five", "twenty and one", "one one", "forty twelve",
        "one thousand thousand", "two hundred hundred", "zero five", "one million", "twentyfive", "-", "minus five",
    ],
)  # fmt: skip
def test_words_that_are_no_number_become_null(warehouse: Warehouse, words: str) -> None:
    """Nothing is guessed: such a price ends in silver.unreadable_value."""
    rendered = _rendered_once(warehouse)
    with psycopg.connect(warehouse.server.conninfo("warehouse")) as connection:
        row = connection.execute(
            f"with spelled as (select %s::text as words) {rendered}", (words,)
        ).fetchone()
    assert row == (None,)


_RENDERED: dict[Path, str] = {}


def _rendered_once(warehouse: Warehouse) -> str:
    path = warehouse.project.path
    if path not in _RENDERED:
        inline = "select {{ number_from_words('words') }} as n from spelled"
        _RENDERED[path] = warehouse.dbt("--quiet", "compile", "--inline", inline).replace("%", "%%")
    return _RENDERED[path]


def test_every_model_and_column_is_described_and_owned(sample: DbtProject) -> None:
    """Documentation is complete, every model has a group with an owner, and facts keep a contract."""
    manifest = json.loads(sample.manifest_path.read_text(encoding="utf-8"))
    owners = {group["name"]: group["owner"].get("email") for group in manifest["groups"].values()}
    described = [
        node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed", "snapshot")
    ]
    assert len(described) >= 25
    for node in (*described, *manifest["sources"].values()):
        assert node["description"], node["unique_id"]
        assert node["columns"], node["unique_id"]
        assert all(column["description"] for column in node["columns"].values()), node["unique_id"]
    for node in described:
        assert owners[node["config"]["group"]], node["unique_id"]
        if node["schema"] == "gold":
            assert node["config"]["contract"]["enforced"], node["unique_id"]


def test_documented_columns_are_the_columns(warehouse: Warehouse) -> None:
    """What the yml files describe is what the warehouse has, no more and no less."""
    manifest = json.loads(warehouse.project.manifest_path.read_text(encoding="utf-8"))
    built = warehouse.query(
        "select table_schema || '.' || table_name, array_agg(column_name::text)"
        " from information_schema.columns group by 1"
    )
    columns = {name: set(names) for name, names in built}
    for node in manifest["nodes"].values():
        if node["resource_type"] in ("model", "seed", "snapshot") and (
            node["config"]["materialized"] != "ephemeral"
        ):
            relation = node["relation_name"].replace('"', "").split(".", 1)[1]
            assert columns[relation] == set(node["columns"]), node["unique_id"]


@pytest.mark.parametrize("kind", ["postgres", "databricks"])
def test_the_profile_serves_both_warehouses(
    sample: DbtProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The project parses offline for either warehouse, with no variable set but its type."""
    monkeypatch.setenv("WAREHOUSE_TYPE", kind)
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    command = [dbt_executable(), "--no-version-check", "parse", "--target", "prod", "--no-partial-parse"]
    done = subprocess.run(command, cwd=sample.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    manifest = json.loads((tmp_path / "target" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["metadata"]["adapter_type"] == kind
