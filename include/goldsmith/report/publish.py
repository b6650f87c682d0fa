"""Carry the reports of a run to where people look: object storage or a folder, mails, Slack.

<to>/<dag_id>/<run>/report.html      and the others beside it
<to>/<dag_id>/latest/report.html     the same of the run that was published last
<to>/<dag_id>/~published/runs        what is there, oldest first
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldsmith.alerts.channels.email import Mail, send_mail
from goldsmith.alerts.channels.request import connection_of
from goldsmith.alerts.channels.slack import bot, channels_of, is_bot, problem
from goldsmith.alerts.deliver import tried
from goldsmith.errors import ConfigurationError
from goldsmith.extras import need_extra
from goldsmith.pages.page import Pages
from goldsmith.report.store import FILES
from goldsmith.results.store import open_files
from goldsmith.spec.report import Publish, Send

log = logging.getLogger(__name__)

_LATEST = "latest"
_LIST = ("~published", "runs")
_ZIPPED_FROM = 1_000_000  # bytes; Elementary's report is 6 MB, and 1.3 MB zipped
_PAGES = Pages("goldsmith.report")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReports:
    """The reports of a run."""

    dag_id: str
    run_id: str
    started: str
    """ISO 8601."""
    headline: str
    """How the run ended, in a line."""
    files: Mapping[str, bytes]
    """Name to content."""
    links: Mapping[str, str]
    """Text to URL, of where they can be read."""


def put(reports: RunReports, target: Publish) -> dict[str, str]:
    """Copy the reports to a folder or into object storage, and delete those of all but the newest runs.

    Returns:
        Name to path or URL.

    Raises:
        EnvironmentProblem: It cannot be written.
    """
    files = open_files(target.to)
    folder = _folder(reports.run_id)
    for place in (folder, _LATEST):
        files.write((reports.dag_id, place), reports.files)
    known = _published(files.read((reports.dag_id, _LIST[0]), _LIST[1]))
    runs = sorted({**known, folder: reports.started}.items(), key=lambda one: one[1])
    gone = [(old, name) for old, _ in runs[: -target.keep] for name in FILES]
    gone += [(_LATEST, name) for name in FILES if name not in reports.files]  # of an earlier run
    for place, name in gone:
        files.delete((reports.dag_id, place), name)
    files.write((reports.dag_id, _LIST[0]), {_LIST[1]: json.dumps(runs[-target.keep :]).encode()})
    if target.url:
        base = f"{target.url.rstrip('/')}/{reports.dag_id}/{folder}"
        return {name: f"{base}/{name}" for name in reports.files}
    return {name: files.location((reports.dag_id, folder), name) for name in reports.files}


def send(reports: RunReports, to: Send) -> None:
    """Send the reports, or where they are, by mail or to Slack; tried again where that may help.

    Raises:
        EnvironmentProblem: It was not taken.
        ConfigurationError: The connection lacks something.
    """
    with tempfile.TemporaryDirectory(prefix="goldsmith-") as work:
        attached = _attachments(reports, Path(work)) if to.attach else ()
        for attempt in tried():
            with attempt:
                if to.type == "email":
                    _mail(reports, to, attached)
                else:
                    _slack(reports, to, attached)


def _mail(reports: RunReports, to: Send, attached: tuple[Path, ...]) -> None:
    html = _PAGES.render(
        "mail.html",
        headline=reports.headline,
        links=reports.links,
        attached=[path.name for path in attached],
    )
    lines = [reports.headline, *(f"{name}: {url}" for name, url in reports.links.items())]
    send_mail(to, Mail(subject=reports.headline, text="\n".join(lines), html=html, attachments=attached))


def _slack(reports: RunReports, to: Send, attached: tuple[Path, ...]) -> None:
    need_extra("slack", "Sending reports to Slack")
    from slack_sdk.errors import SlackClientError

    connection = connection_of(to.connection)
    if not is_bot(connection):
        raise ConfigurationError(
            f"Slack takes files from bots alone, and the connection {to.connection!r} holds no bot's token.",
            hint="Its password has to begin with xoxb-.",
        )
    words = "\n".join([reports.headline, *(f"<{url}|{name}>" for name, url in reports.links.items())])
    client = bot(connection)
    try:
        for channel in channels_of(to):
            if attached:
                files = [{"file": str(path), "title": path.name} for path in attached]
                client.files_upload_v2(channel=channel, file_uploads=files, initial_comment=words)
            else:
                client.chat_postMessage(channel=channel, text=words)
    except (SlackClientError, OSError) as error:
        raise problem(error) from None


def _attachments(reports: RunReports, work: Path) -> tuple[Path, ...]:
    """The reports as files; a large one zipped, as mail servers refuse what is larger than 10 or 25 MB."""
    found = []
    for name, content in reports.files.items():
        path = work / name
        if len(content) < _ZIPPED_FROM:
            path.write_bytes(content)
        else:
            path = work / f"{name}.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(name, content)
        found.append(path)
    return tuple(found)


def _folder(run_id: str) -> str:
    """A run's id as a part of a URL that needs no escaping."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", run_id)
    return f"run_{name}" if name in (".", "..", _LATEST) else name


def _published(content: bytes | None) -> dict[str, str]:
    try:
        return {str(folder): str(started) for folder, started in json.loads(content or b"[]")}
    except (ValueError, TypeError):
        return {}
