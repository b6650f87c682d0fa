"""Raw files of an invented shop, with the faults that real sources have.

The same rows and seed give the same bytes on every machine: only `Random.random`
is drawn from, which Python keeps reproducible, and the clock is never read.
"""

from __future__ import annotations

from pathlib import Path

from goldsmith.sample.calendar import Calendar
from goldsmith.sample.reference import (
    Catalogue,
    customer_lines,
    product_lines,
    rate_lines,
)
from goldsmith.sample.transactions import transaction_lines

__all__ = ["generate"]


FILES = ("transactions", "customers", "products", "exchange_rates")
"""Names of the files, without `.csv`."""


def generate(rows: int, seed: int, out: Path) -> None:
    """Write transactions, customers, products and exchange rates as CSV files.

    The files are streamed: ten million transactions need no more memory than ten.

    Args:
        rows: Lines of data in transactions.csv, corrections and malformed lines included.
        seed: Any whole number; another seed gives other data of the same shape.
        out: Folder to write to, created when missing; files in it are overwritten.

    Raises:
        ValueError: rows is less than one.
        OSError: the folder cannot be written to.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; at least one transaction is needed")
    out.mkdir(parents=True, exist_ok=True)
    calendar = Calendar.for_rows(rows)
    catalogue = Catalogue.for_rows(rows, seed=seed)
    files = {
        "transactions": transaction_lines(rows, seed=seed, calendar=calendar, catalogue=catalogue),
        "customers": customer_lines(catalogue.customers, seed=seed),
        "products": product_lines(catalogue),
        "exchange_rates": rate_lines(calendar, seed=seed),
    }
    for name, lines in files.items():
        with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
