"""Transactions, most of them sound, the rest each with one fault."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random

from goldsmith.sample.calendar import LATE_DAYS, SECONDS_PER_DAY, Calendar
from goldsmith.sample.reference import CURRENCIES, Catalogue, customer_id, product_id
from goldsmith.sample.words import in_words

HEADER = (
    "transaction_id,customer_id,product_id,quantity,unit_price,tax,currency,transaction_time,updated_at\n"
)

_PRODUCT, _QUANTITY, _PRICE, _TAX, _CURRENCY, _TIME, _UPDATED = range(2, 9)
_UNREADABLE = ("about forty", "n/a", "twelve point five", "ask sales")
_CODES = tuple(CURRENCIES)
_BASES = tuple(CURRENCIES.values())

Fields = list[str]
Draw = Callable[[], float]


def _price_in_words(fields: Fields, draw: Draw) -> None:
    fields[_PRICE] = in_words(max(1, int(float(fields[_PRICE]))), style=int(draw() * 2))


def _tax_in_words(fields: Fields, draw: Draw) -> None:
    fields[_TAX] = in_words(int(float(fields[_TAX])), style=int(draw() * 2))


def _unreadable_price(fields: Fields, draw: Draw) -> None:
    fields[_PRICE] = _UNREADABLE[int(draw() * len(_UNREADABLE))]


def _missing_quantity(fields: Fields, _draw: Draw) -> None:
    fields[_QUANTITY] = ""


def _return(fields: Fields, _draw: Draw) -> None:
    fields[_QUANTITY] = f"-{fields[_QUANTITY]}"


def _lower_case_currency(fields: Fields, _draw: Draw) -> None:
    fields[_CURRENCY] = fields[_CURRENCY].lower()


def _orphan_product(fields: Fields, draw: Draw) -> None:
    fields[_PRODUCT] = f"P9{int(draw() * 100_000):05}"


def _future_time(fields: Fields, _draw: Draw) -> None:
    fields[_TIME] = f"2099{fields[_TIME][4:]}"


def _european_time(fields: Fields, _draw: Draw) -> None:
    day, clock = fields[_TIME].split(" ")
    fields[_TIME] = f"{'/'.join(reversed(day.split('-')))} {clock}"


def _too_few_fields(fields: Fields, draw: Draw) -> None:
    del fields[-1 - int(draw() * 4) :]


def _too_many_fields(fields: Fields, _draw: Draw) -> None:
    fields.insert(_QUANTITY, "1")


# What is wrong with a line, and the share of all lines it is wrong with. A line has one fault at most.
FAULTS: dict[Callable[[Fields, Draw], None], float] = {
    _european_time: 0.04,
    _return: 0.03,
    _price_in_words: 0.02,
    _lower_case_currency: 0.02,
    _tax_in_words: 0.015,
    _missing_quantity: 0.01,
    _orphan_product: 0.005,
    _unreadable_price: 0.003,
    _future_time: 0.003,
    _too_few_fields: 0.0015,
    _too_many_fields: 0.0015,
}
_FAULTS = tuple(FAULTS)
_BOUNDS = tuple(accumulate(FAULTS.values()))
LATE_SHARE = 0.01
"""Share of lines that arrive days after the transaction."""
CORRECTED_SHARE = 0.02
"""Share of lines that are sent again within the next few hundred lines, corrected."""


def transaction_lines(rows: int, *, seed: int, calendar: Calendar, catalogue: Catalogue) -> Iterator[str]:
    """Yield transactions.csv, header first, ordered by the time each line was sent."""
    draw = Random(f"{seed}:transactions").random  # noqa: S311 - invented data, no secret
    corrections: list[tuple[int, str]] = []
    number = 0
    yield HEADER
    for line in range(rows):
        if corrections and corrections[0][0] <= line:
            yield heapq.heappop(corrections)[1]
            continue
        number += 1
        progress = line / rows
        second = int((LATE_DAYS + progress * calendar.days) * SECONDS_PER_DAY)
        fields = _sound(number, second=second, draw=draw, calendar=calendar, catalogue=catalogue)
        fault = draw()
        if fault < _BOUNDS[-1]:
            _spoil(fields, fault, draw)
        elif fault > 1 - CORRECTED_SHARE:
            sent = _corrected(fields, second=second, draw=draw, calendar=calendar)
            heapq.heappush(corrections, (line + 1 + int(draw() * 300), sent))
        yield ",".join(fields) + "\n"


def _sound(number: int, *, second: int, draw: Draw, calendar: Calendar, catalogue: Catalogue) -> Fields:
    product = int(draw() * len(catalogue.prices))
    currency = int(draw() ** 2 * len(_CODES))
    # Dearer or cheaper than listed by up to a tenth; yen have no hundredths.
    price = catalogue.prices[product] / _BASES[currency] * (0.9 + draw() * 0.2)
    digits = 0 if _CODES[currency] == "JPY" else 2
    happened = second
    if draw() < LATE_SHARE:
        happened -= int((1 + draw() * (LATE_DAYS - 1)) * SECONDS_PER_DAY)
    return [
        f"T{number:010}",
        customer_id(int(draw() ** 2 * catalogue.customers)),
        product_id(product),
        str(1 + int(draw() ** 3 * 9)),
        f"{price:.{digits}f}",
        f"{price * 0.2:.{digits}f}",
        _CODES[currency],
        calendar.iso(happened),
        calendar.iso(second + int(draw() * 600)),
    ]


def _spoil(fields: Fields, fault: float, draw: Draw) -> None:
    for bound, spoil in zip(_BOUNDS, _FAULTS, strict=True):
        if fault < bound:
            spoil(fields, draw)
            return


def _corrected(fields: Fields, *, second: int, draw: Draw, calendar: Calendar) -> str:
    """Return the line to send later; half the time the first one is left without a quantity."""
    right = fields.copy()
    right[_QUANTITY] = str(1 + int(draw() * 9))
    right[_UPDATED] = calendar.iso(second + 3600 + int(draw() * 36_000))
    if draw() < 0.5:
        fields[_QUANTITY] = ""
    return ",".join(right) + "\n"
