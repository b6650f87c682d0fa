"""Customers, products and hourly exchange rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from goldsmith.sample.calendar import Calendar

CURRENCIES = {"EUR": 1.0, "USD": 0.92, "GBP": 1.17, "CHF": 1.05, "SEK": 0.088, "JPY": 0.0061}
"""Currency code to the rough worth of one unit in euro."""

_FIRST = [
    "Anna",
    "Ben",
    "Chloé",
    "David",
    "Elif",
    "Finn",
    "Grace",
    "Håkan",
    "Inès",
    "João",
    "Kim",
    "Lena",
    "Mateo",
    "Noor",
    "Olga",
    "Pavel",
]
_LAST = [
    "Andersson",
    "Brown",
    "Dubois",
    "Fischer",
    "García",
    "Ito",
    "Kaya",
    "Müller",
    "Novák",
    "O'Brien",
    "Rossi",
    "Tanaka",
]
_COUNTRIES = ["DE", "FR", "GB", "US", "CH", "SE", "JP", "ES", "IT", "NL", "AT", "IE"]
_SEGMENTS = ("consumer", "business", "public")
_GOODS = {
    "furniture": ("Desk", "Chair", "Shelf", "Cabinet"),
    "lighting": ("Lamp", "Lantern", "Spotlight"),
    "kitchen": ("Kettle", "Pan", "Knife", "Teapot"),
    "garden": ("Rake", "Bench", "Planter"),
    "office": ("Stapler", "Notebook", "Whiteboard"),
}
_COLOURS = ["black", "white", "oak", "steel", "blue", "green"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """How many customers there are, and each product's category and price in euro."""

    customers: int
    categories: tuple[str, ...] = field(repr=False)
    prices: tuple[float, ...] = field(repr=False)

    @classmethod
    def for_rows(cls, rows: int, *, seed: int) -> Catalogue:
        """Return ten transactions per customer and twenty-five per product, within bounds."""
        draw = Random(f"{seed}:products").random  # noqa: S311 - invented data, no secret
        products = max(20, min(20_000, rows // 25))
        names = tuple(_GOODS)
        return cls(
            customers=max(50, min(1_000_000, rows // 10)),
            categories=tuple(names[int(draw() * len(names))] for _ in range(products)),
            prices=tuple(round(2 + draw() ** 3 * 900, 2) for _ in range(products)),
        )


def product_id(number: int) -> str:
    """Return the id of the product with this number, counted from 0."""
    return f"P{number + 1:05}"


def customer_id(number: int) -> str:
    """Return the id of the customer with this number, counted from 0."""
    return f"C{number + 1:07}"


def customer_lines(count: int, *, seed: int) -> Iterator[str]:
    """Yield customers.csv; about one customer in fifty has no e-mail address."""
    draw = Random(f"{seed}:customers").random  # noqa: S311 - invented data, no secret
    yield "customer_id,name,email,country,signup_date,segment\n"
    for number in range(count):
        first = _FIRST[int(draw() * len(_FIRST))]
        last = _LAST[int(draw() * len(_LAST))]
        # "Last, First" must be quoted: a loader that splits at commas shows itself here.
        name = f'"{last}, {first}"' if draw() < 0.1 else f"{first} {last}"
        email = "" if draw() < 0.02 else f"customer{number + 1}@example.com"
        country = _COUNTRIES[int(draw() * len(_COUNTRIES))]
        signup = date(2020, 1, 1) + timedelta(days=int(draw() * 1700))
        segment = _SEGMENTS[int(draw() ** 2 * len(_SEGMENTS))]
        yield f"{customer_id(number)},{name},{email},{country},{signup},{segment}\n"


def product_lines(catalogue: Catalogue) -> Iterator[str]:
    """Yield products.csv."""
    yield "product_id,name,category,list_price,list_currency\n"
    for number, (category, price) in enumerate(zip(catalogue.categories, catalogue.prices, strict=True)):
        goods = _GOODS[category]
        name = f"{goods[number % len(goods)]}, {_COLOURS[number % len(_COLOURS)]}"
        yield f'{product_id(number)},"{name} {number + 1}",{category},{price:.2f},EUR\n'


def rate_lines(calendar: Calendar, *, seed: int) -> Iterator[str]:
    """Yield exchange_rates.csv: for every hour, what one unit of each currency is worth in euro."""
    draw = Random(f"{seed}:rates").random  # noqa: S311 - invented data, no secret
    drift = dict.fromkeys(CURRENCIES, 0.0)
    yield "currency,rate_time,rate_to_eur\n"
    for day in calendar.iso_days:
        for hour in range(24):
            for currency, base in CURRENCIES.items():
                if currency != "EUR":
                    drift[currency] = drift[currency] * 0.999 + (draw() - 0.5) * 0.002
                rate = base * (1 + drift[currency])
                yield f"{currency},{day} {hour:02}:00:00,{rate:.6f}\n"
