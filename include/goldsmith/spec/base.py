"""What all spec models share: frozen, strict about keys, durations a person would write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from goldsmith.wording import did_you_mean

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class SpecModel(BaseModel):
    """A part of a pipeline spec: immutable, and no key but the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)\s*([smhd])", str(value).strip())
    if not match:
        raise ValueError(f"{value!r} is not a duration: write a number and s, m, h or d, such as 30m or 2h")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError(f"{value!r} is longer than any time there is") from error


def some_time(limit: timedelta | None) -> timedelta | None:
    """Refuse a time limit that leaves no time."""
    if limit is not None and limit <= timedelta(0):
        raise ValueError("nothing can run in no time; write a duration such as 30m")
    return limit


def one_or_more(kind: Any) -> BeforeValidator:
    """One text, where several may stand.

    Args:
        kind: The type of each.
    """
    return BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value,
        json_schema_input_type=kind | tuple[kind, ...],
    )


def _seconds(value: timedelta) -> str:
    return f"{int(value.total_seconds())}s"


_Written = Annotated[str, Field(pattern=r"^\s*\d+\s*[smhd]\s*$")]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration, json_schema_input_type=_Written),
    PlainSerializer(_seconds, return_type=str),
]
"""A length of time, written as `45s`, `30m`, `2h` or `1d`."""


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write such as Europe/Berlin, or UTC") from error
    return name


Timezone = Annotated[str, AfterValidator(_timezone)]
"""An IANA name of a time zone."""


Places = Callable[[Sequence[str | int]], str]
"""Says in words where the key at a path is written; empty if it is not."""


def explain(error: ValidationError, model: type[BaseModel], place: Places = lambda _: "") -> str:
    """Say in one line per fault where it is, what is wrong, and the nearest valid key.

    Args:
        error: What pydantic says.
        model: The model that it was to be.
        place: Where a key is written.
    """
    return "\n".join(_explain_one(fault, model, place) for fault in error.errors())


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a spec with others in their place: of mappings key by key, of `layers` and everything else as a whole."""
    found = dict(values)
    for key, value in changes.items():
        old = found.get(key)
        is_both = isinstance(old, dict) and isinstance(value, dict) and key != "layers"
        found[key] = {**old, **value} if is_both else value  # type: ignore[dict-item]  # it is a dict
    return found


def _explain_one(fault: Any, model: type[BaseModel], place: Places) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "(the whole spec)"
    if at := place(fault["loc"]):
        where += f" ({at})"
    if fault["type"] != "extra_forbidden":
        return f"  {where}: {fault['msg'].removeprefix('Value error, ')}"
    known = sorted(_model_at(fault["loc"][:-1], model).model_fields)
    meant = did_you_mean(str(fault["loc"][-1]), known, f"Valid keys: {', '.join(known)}.")
    return f"  {where}: unknown key. {meant}"


def _model_at(path: tuple[Any, ...], model: type[BaseModel]) -> type[BaseModel]:
    """The spec model that holds the key at `path`, so that its keys can be offered."""
    for part in path:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        inner = _models_in(model.model_fields[part].annotation)
        model = inner[0] if inner else model
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for arg in getattr(annotation, "__args__", ()) for found in _models_in(arg)]
