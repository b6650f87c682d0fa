"""The invented raw files: the same everywhere, and with the faults they promise."""

from __future__ import annotations

import csv
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from num2words import num2words

from goldsmith.sample import generate
from goldsmith.sample.calendar import Calendar
from goldsmith.sample.reference import Catalogue
from goldsmith.sample.transactions import transaction_lines
from goldsmith.sample.words import in_words

HEADERS = {
    "transactions": "transaction_id,customer_id,product_id,quantity,unit_price,tax,currency,"
    "transaction_time,updated_at",
    "customers": "customer_id,name,email,country,signup_date,segment",
    "products": "product_id,name,category,list_price,list_currency",
    "exchange_rates": "currency,rate_time,rate_to_eur",
}
ROWS = 20_000
Row = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with enough transactions for shares to mean something."""
    out = tmp_path_factory.mktemp("sample")
    generate(ROWS, 3, out)
    return out


@pytest.fixture(scope="module")
def lines(folder: Path) -> list[list[str]]:
    """The fields of every line of data in transactions.csv."""
    with (folder / "transactions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.fixture(scope="module")
def rows(lines: list[list[str]]) -> list[Row]:
    """The lines that are well-formed."""
    names = HEADERS["transactions"].split(",")
    return [dict(zip(names, line, strict=True)) for line in lines if len(line) == len(names)]


def test_the_same_rows_and_seed_give_the_same_bytes(tmp_path: Path, repository: Path) -> None:
    """The shipped files can be made again; another seed gives other ones."""
    generate(5_000, 1, tmp_path / "again")
    generate(5_000, 2, tmp_path / "other")
    for name in HEADERS:
        shipped = (repository / "include" / "sample_data" / f"{name}.csv").read_bytes()
        assert (tmp_path / "again" / f"{name}.csv").read_bytes() == shipped
        assert (tmp_path / "other" / f"{name}.csv").read_bytes() != shipped


@pytest.mark.parametrize("name", HEADERS)
def test_files_have_their_header_and_unix_line_ends(folder: Path, name: str) -> None:
    """The header is the contract with ingest."""
    content = (folder / f"{name}.csv").read_bytes()
    assert content.split(b"\n", 1)[0].decode() == HEADERS[name]
    assert b"\r" not in content
    assert content.endswith(b"\n")


def test_transactions_have_as_many_lines_as_asked_for(lines: list[list[str]]) -> None:
    """Corrections and malformed lines count."""
    assert len(lines) == ROWS


def _in_words(column: str) -> Callable[[Row], bool]:
    return lambda row: bool(re.fullmatch("[A-Za-z -]+", row[column]))


@pytest.mark.parametrize(
    ("fault", "share", "has_it"),
    [
        ("price in words", 0.02, _in_words("unit_price")),
        ("tax in words", 0.015, _in_words("tax")),
        ("missing quantity", 0.02, lambda row: row["quantity"] == ""),
        ("return", 0.03, lambda row: row["quantity"].startswith("-")),
        ("lower-case currency", 0.02, lambda row: row["currency"].islower()),
        ("European date", 0.04, lambda row: "/" in row["transaction_time"]),
        ("future", 0.003, lambda row: row["transaction_time"].startswith("2099-")),
        ("orphan product", 0.005, lambda row: row["product_id"].startswith("P9")),
        ("late", 0.01, lambda row: "2026" in row["transaction_time"] and _days_late(row) >= 1),
    ],
)
def test_each_fault_has_its_share(
    rows: list[Row], fault: str, share: float, has_it: Callable[[Row], bool]
) -> None:
    """Every fault occurs about as often as intended: neither missing nor the rule."""
    found = sum(map(has_it, rows)) / ROWS
    assert share / 2 < found < share * 2, fault


def _days_late(row: Row) -> int:
    day = row["transaction_time"].split(" ")[0]
    happened = "-".join(reversed(day.split("/"))) if "/" in day else day
    sent = row["updated_at"].split(" ")[0]
    return (_ordinal(sent) - _ordinal(happened)) if sent > happened else 0


def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def test_malformed_lines_have_too_few_or_too_many_fields(lines: list[list[str]]) -> None:
    """A loader recognises them by their number of fields, and both kinds occur."""
    lengths = Counter(len(line) for line in lines)
    too_few = sum(count for length, count in lengths.items() if length < 9)
    too_many = sum(count for length, count in lengths.items() if length > 9)
    assert 10 < too_few < 60
    assert 10 < too_many < 60


def test_corrections_come_later_and_say_so(rows: list[Row]) -> None:
    """A transaction sent again has a later updated_at; the last line of an id is its latest state."""
    first: dict[str, Row] = {}
    again = 0
    for row in rows:
        before = first.setdefault(row["transaction_id"], row)
        if before is not row:
            again += 1
            assert row["updated_at"] > before["updated_at"]
            assert row["quantity"] != ""
            assert row["unit_price"] == before["unit_price"]
    assert 0.01 * ROWS < again < 0.04 * ROWS


def test_rates_cover_every_hour_of_every_transaction(folder: Path, rows: list[Row]) -> None:
    """No transaction of the past lacks a rate for its hour, late ones included."""
    with (folder / "exchange_rates.csv").open(encoding="utf-8", newline="") as file:
        known = {(rate["currency"], rate["rate_time"][:13]) for rate in csv.DictReader(file)}
    past = [row for row in rows if re.match("2026-", row["transaction_time"])]
    assert {(row["currency"].upper(), row["transaction_time"][:13]) for row in past} <= known


def test_lines_are_written_as_they_are_made() -> None:
    """Ten times the rows need no more memory: only the small tables of days and products are kept."""
    peaks = []
    for rows in (1_500, 15_000):
        tracemalloc.start()
        calendar, catalogue = Calendar.for_rows(1), Catalogue.for_rows(1, seed=1)
        for _ in transaction_lines(rows, seed=1, calendar=calendar, catalogue=catalogue):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.1


def test_numbers_are_spelled_as_people_do() -> None:
    """The words agree with num2words, but for the commas it sets."""
    for number in (*range(1_200), 10_001, 99_999, 125_000, 200_200, 999_999):
        assert in_words(number) == num2words(number).replace(",", "")
    assert in_words(200, style=1) == "Two Hundred"
    assert in_words(2_125, style=1) == "Two Thousand One Hundred Twenty Five"


def test_what_cannot_be_generated_is_refused(tmp_path: Path) -> None:
    """No rows and numbers without words are refused."""
    with pytest.raises(ValueError, match="rows is 0"):
        generate(0, 1, tmp_path)
    with pytest.raises(ValueError, match="1000000"):
        in_words(1_000_000)
