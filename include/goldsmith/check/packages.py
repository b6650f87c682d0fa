"""Extras of the package that a pipeline needs: `goldsmith check` names a missing one before a run needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from goldsmith.check.finding import Finding, failure
from goldsmith.errors import EnvironmentProblem
from goldsmith.extras import EXTRAS, is_installed, need_extra, need_storage
from goldsmith.ingest.files import format_of, is_url
from goldsmith.settings import Settings
from goldsmith.spec.alerts import SES, Channel
from goldsmith.spec.pipeline import Pipeline


def missing_by_spec(spec: Pipeline, here: Settings) -> Iterator[Finding]:
    """Find the extras that a spec or the settings need and that are not installed.

    Args:
        spec: The pipeline.
        here: Settings of this process.
    """
    for name, channel in _channels(spec):
        if channel.type in EXTRAS:
            yield from _missing(spec, partial(need_extra, channel.type, name))
    places = [one.to for one in spec.report.publish] if spec.report else []
    for place in [here.results_path, *places]:
        if "://" in place:
            yield from _missing(spec, partial(need_storage, place, f"The path {place}"))
    for one in spec.ingest:
        if is_url(one.file):
            yield from _missing(spec, partial(need_storage, one.file, f"The file {one.file}"))
        if format_of(one, [one.file]) == "parquet":
            yield from _missing(spec, partial(need_extra, "parquet", f"The file {one.file}"))


def mail_connections(spec: Pipeline) -> list[str]:
    """List the Airflow connections whose type decides whether mails need an extra; none if that is installed."""
    if is_installed("ses"):
        return []
    return [channel.connection for _, channel in _channels(spec) if channel.type == "email"]


def missing_by_connection(spec: Pipeline, types: Mapping[str, str]) -> Iterator[Finding]:
    """Find the mails that need an extra which is not installed.

    Args:
        spec: The pipeline.
        types: Airflow connection to its type, of those that `mail_connections` lists.
    """
    for name, channel in _channels(spec):
        if channel.type == "email" and types.get(channel.connection) == SES:
            purpose = f"{name} (connection {channel.connection}, Amazon SES)"
            yield from _missing(spec, partial(need_extra, "ses", purpose))


def _channels(spec: Pipeline) -> Iterator[tuple[str, Channel]]:
    """All ways on which messages or reports are sent, each with its name in a sentence."""
    for name, channel in (spec.alerts.channels if spec.alerts else {}).items():
        yield f"The alert channel {name}", channel
    for to in spec.report.send if spec.report else ():
        yield f"`report.send` by {to.type}", to


def _missing(spec: Pipeline, need: Callable[[], None]) -> Iterator[Finding]:
    try:
        need()
    except EnvironmentProblem as error:
        yield failure(f"{spec.name}: packages", error)
