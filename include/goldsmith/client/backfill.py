"""A pipeline for one window of time after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.text import Text

from goldsmith.client.summary import RunSummary
from goldsmith.errors import SpecError
from goldsmith.spec.base import Duration
from goldsmith.spec.run import RunOptions

_MOST = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A length of time; its end does not belong to it."""

    start: datetime
    end: datetime

    def of(self, asked: RunOptions) -> RunOptions:
        """The parameters of a run, with this window."""
        return asked.model_copy(update={"event_time_start": self.start, "event_time_end": self.end})

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"


def windows(start: str, end: str, every: str) -> list[Window]:
    """Cut a length of time into windows; the last may be shorter.

    Args:
        start: ISO date or time; without a time zone UTC is meant.
        end: The same.
        every: Length of a window, such as `1d`.

    Raises:
        SpecError: A value is none, the end is not after the start, or there are more than a thousand windows.
    """
    first, last, length = _moment("--from", start), _moment("--to", end), _length(every)
    if first >= last:
        raise SpecError(
            f"--from {start} is not before --to {end}.", hint="The end does not belong to the last window."
        )
    length = min(length, last - first)
    number = -(-(last - first) // length)
    if number > _MOST:
        raise SpecError(
            f"From {start} to {end} there are {number} windows of {every}, and {_MOST} are the most.",
            hint="Make them longer with --every, or backfill a part.",
        )
    starts = [first + n * length for n in range(number)]
    return [Window(start=one, end=min(one + length, last)) for one in starts]


def backfilled(
    work: Callable[..., RunSummary], asked: RunOptions, todo: Sequence[Window], console: Console
) -> bool:
    """Run the windows in their order, and stop at the first that fails; tell whether all of them are done.

    Args:
        work: Makes a run with the parameters `asked`, and follows it to its end.
        asked: The parameters of each, beside its window.
        todo: The windows.
        console: Where it is shown.
    """
    for number, window in enumerate(todo, start=1):
        console.print(Text(f"Window {number} of {len(todo)}: {window}", style="bold"))
        done = work(asked=window.of(asked))
        done.print_on(console)
        if not done.is_success:
            console.print(
                Text(
                    f"{number - 1} of {len(todo)} windows are done. Fix the cause, then go on with: goldsmith run "
                    f"--failed; then goldsmith backfill --from {window.end.isoformat()} for the rest."
                ),
                soft_wrap=True,
            )
            return False
    console.print(f"All {len(todo)} windows are done.", highlight=False)
    return True


def _moment(option: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SpecError(
            f"{option} {text} is no date or time.", hint="Write such as 2026-11-01 or 2026-11-01T06:00."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _length(text: str) -> timedelta:
    try:
        found: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise SpecError(f"--every {text} is no length of time.", hint="Write such as 1d or 6h.") from error
    if not found:
        raise SpecError("--every 0 gives no window.", hint="Write such as 1d or 6h.")
    return found
