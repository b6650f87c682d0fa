"""One spec for many pipelines: `for_each` names variables and their values, and `{variable}` stands for one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from goldsmith.errors import SpecError
from goldsmith.spec.yaml_file import read_yaml
from goldsmith.wording import did_you_mean

KEY = "for_each"
_PLACE = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?\}(?!\})")
_VARIABLE = re.compile(r"[a-z][a-z0-9_]*")
_FILLED_LATER = ("name", "node", "owner", "pipeline")  # by asset_namespace and by the runbook of alerts
_SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One value of a variable."""

    label: str
    """What `{variable}` stands for in a text, and what stands in the name of the pipeline."""
    plain: Any
    """What it is where nothing else stands beside it."""
    parts: Mapping[str, Any]
    """What `{variable.part}` stands for."""
    error: SpecError | None = None
    """Why its file cannot be used."""


Combination = Mapping[str, Value]
"""Variable to value, for one pipeline."""


def combinations(for_each: Any, folder: Path) -> list[Combination]:
    """Every combination of the values of all variables.

    Args:
        for_each: Variable to a list of values, or to a pattern of files, of which each holds the parts of one value.
        folder: Where patterns of files begin.

    Raises:
        SpecError: It says something else, or a variable has no value or one twice.
    """
    if not isinstance(for_each, dict) or not for_each:
        raise SpecError(
            f"`{KEY}` names no variable.",
            hint=f"Write such as `{KEY}: {{country: [at, de]}}`, or take it away.",
        )
    columns = []
    for variable, written in for_each.items():
        if not _VARIABLE.fullmatch(str(variable)) or variable in _FILLED_LATER:
            raise SpecError(
                f"`{KEY}` has a variable {variable!r}.",
                hint="Write lower case letters, digits and underscores, a letter first; "
                f"{', '.join(_FILLED_LATER)} have a meaning of their own.",
            )
        values = list(_values(variable, written, folder))
        labels = [one.label for one in values]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise SpecError(
                f"`{KEY}` has {', '.join(twice)} twice as value of {variable}.", hint="Take one away."
            )
        columns.append([(variable, one) for one in values])
    return [dict(row) for row in product(*columns)]


def filled(values: Any, chosen: Combination) -> Any:
    """Values of a spec with those of variables in the place of `{variable}`.

    Args:
        values: Of the spec, without `for_each`.
        chosen: The combination.

    Raises:
        SpecError: `{...}` names no variable, or a part that its value does not have.
    """
    if isinstance(values, dict):
        return {filled(key, chosen): filled(one, chosen) for key, one in values.items()}
    if isinstance(values, list):
        return [filled(one, chosen) for one in values]
    if not isinstance(values, str):
        return values
    if (whole := _PLACE.fullmatch(values)) and whole[1] not in _FILLED_LATER:
        return _value_of(whole, chosen, values)
    return _PLACE.sub(lambda found: _text(found, chosen, values), values)


def _text(found: re.Match[str], chosen: Combination, text: str) -> str:
    if found[1] in _FILLED_LATER and found[1] not in chosen:
        return found[0]
    if found[1] in chosen and not found[2]:
        return chosen[found[1]].label
    value = _value_of(found, chosen, text)
    if isinstance(value, dict | list):
        raise SpecError(
            f"{found[0]} in {text!r} stands for a list or a mapping, which fits into no text.",
            hint=f'Let it stand alone: "{found[0]}"',
        )
    return str(value)


def _value_of(found: re.Match[str], chosen: Combination, text: str) -> Any:
    variable, part = found[1], found[2]
    if variable not in chosen:
        raise SpecError(
            f"{found[0]} in {text!r} names no variable of `{KEY}`.",
            hint=f"{did_you_mean(variable, chosen)} Braces that are meant as such are written twice.",
        )
    value = chosen[variable]
    if not part:
        return value.plain
    if part not in value.parts:
        raise SpecError(
            f"{found[0]} in {text!r}: {value.label} has no {part}.", hint=did_you_mean(part, value.parts)
        )
    return value.parts[part]


def _values(variable: str, written: Any, folder: Path) -> Iterator[Value]:
    if isinstance(written, str):
        yield from _values_in_files(variable, written, folder)
        return
    if not isinstance(written, list) or not written:
        raise SpecError(
            f"`{KEY}` gives {variable} no list of values: {written!r}.",
            hint=f"Write a list, `{variable}: [a, b]`, or a pattern of files, `{variable}: tables/*.yml`.",
        )
    for one in written:
        if isinstance(one, dict):
            if "name" not in one:
                raise SpecError(
                    f"`{KEY}` has a value of {variable} without `name`: {one}.",
                    hint="Give it one: `name: ...`",
                )
            yield Value(label=str(one["name"]), plain=str(one["name"]), parts=one)
        elif one is None or isinstance(one, list):
            raise SpecError(
                f"`{KEY}` has a value of {variable} that is no text, number or mapping: {one!r}.",
                hint="Write such as `[at, de]`.",
            )
        else:
            yield Value(label=str(one), plain=one, parts={})


def _values_in_files(variable: str, pattern: str, folder: Path) -> Iterator[Value]:
    try:
        files = sorted(path for path in folder.glob(pattern) if path.suffix in _SUFFIXES and path.is_file())
    except (ValueError, NotImplementedError):  # an absolute pattern, or one that says nothing
        files = []
    if not files:
        raise SpecError(
            f"`{KEY}` finds no file for {variable}: {pattern} matches no .yml file in {folder}.",
            hint=f"Write a pattern from the folder of the spec, such as `{variable}: tables/*.yml`.",
        )
    for file in files:
        yield _value_in_file(file)


def _value_in_file(file: Path) -> Value:
    """The parts that a file holds; a file that cannot be used is the fault of its own pipeline alone."""
    parts: Any = {}
    error = None
    try:
        parts = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as fault:
        error = SpecError(f"{file} cannot be read: {fault}", hint="It has to be a text file in UTF-8.")
    except yaml.YAMLError as fault:
        error = SpecError(f"{file} is not YAML: {fault}", hint="Mind indentation and quotes.")
    else:
        if not isinstance(parts, dict):
            error = SpecError(f"{file} holds no mapping.", hint="Write such as `source: raw.orders`.")
    return Value(
        label=file.stem, plain=file.stem, parts=parts if isinstance(parts, dict) else {}, error=error
    )
