"""The dbt versions that Goldsmith runs, and what the older of them lack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """Something of dbt that not every supported version has."""

    since: tuple[int, int]
    """The first version that has it."""
    text: str
    """What it is."""
    without: str
    """What is otherwise without it."""


ON_ERROR = Feature(
    since=(1, 12),
    text="`on_error: continue` of a model",
    without="dbt ignores it, and skips what reads a model that failed.",
)


def has(version: str, feature: Feature) -> bool:
    """Whether a dbt version has a feature.

    Args:
        version: As dbt writes it: `1.12.5`, `1.12.0-b1`.
        feature: The feature.
    """
    return line_of(version) >= feature.since


def line_of(version: str) -> tuple[int, int]:
    """Major and minor number of a version."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
