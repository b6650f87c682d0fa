"""Whole numbers in English words, as people type them into price fields."""

from __future__ import annotations

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(number: int, *, style: int = 0) -> str:
    """Spell a whole number from 0 to 999,999.

    Args:
        number: The number to spell.
        style: 0 for "one hundred and twenty-five", 1 for "One Hundred Twenty Five".

    Raises:
        ValueError: the number is out of range.
    """
    if not 0 <= number <= 999_999:
        raise ValueError(f"{number} is not between 0 and 999,999")
    thousands, rest = divmod(number, 1000)
    parts = [f"{_below_thousand(thousands)} thousand"] if thousands else []
    if rest or not thousands:
        joint = "and " if thousands and rest < 100 else ""
        parts.append(joint + _below_thousand(rest))
    text = " ".join(parts)
    return text.replace(" and ", " ").replace("-", " ").title() if style else text


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    head = f"{_SMALL[hundreds]} hundred"
    return f"{head} and {_below_hundred(rest)}" if rest else head


def _below_hundred(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]
